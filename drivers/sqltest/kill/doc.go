// Package kill tests that no invalidation is lost when processes are killed. It has tests only.
package kill
