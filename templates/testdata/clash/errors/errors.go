// Package errors has the name of a package of the standard library.
package errors

type Kind string
