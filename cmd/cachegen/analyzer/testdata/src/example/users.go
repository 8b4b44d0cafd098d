// Package users has a misspelt placeholder.
package users

import "context"

// FindUser returns the name of a user.
//
//cache:getorset user:{idd}
func FindUser(ctx context.Context, id int64) (string, error) { return "", nil }
