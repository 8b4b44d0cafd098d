// Package users keeps the users and teams of the example in a SQL database.
//
// [UserRepo] is written as it would be without a cache. The //cache: lines above
// its methods say what may be cached and what makes a cached value wrong;
// "go generate" turns them into [CachedUserRepo], in the files that end in
// _cachegen.go.
package users

import (
	"errors"
	"time"
)

// ErrNotFound says that a user, a team or settings do not exist.
var ErrNotFound = errors.New("not found")

// A User is a row of users together with the name of its team.
type User struct {
	ID      int64     `json:"id"`
	Name    string    `json:"name"`
	TeamID  int64     `json:"team_id"`
	Team    string    `json:"team"`
	Created time.Time `json:"created"`
}

// A Team is a row of teams with the number of its users.
type Team struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Users int    `json:"users"`
}
