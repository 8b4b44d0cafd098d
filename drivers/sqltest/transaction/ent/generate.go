// Package ent is what ent generates for the numbers of the tests, without its packages enttest and hook.
package ent

//go:generate go run -mod=mod entgo.io/ent/cmd/ent@v0.14.5 generate --feature sql/execquery ./schema
