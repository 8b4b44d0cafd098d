package teams

import (
	"context"
	"errors"
	"sync"
)

// ErrNoTeam says that a team does not exist.
var ErrNoTeam = errors.New("no such team")

// A Quota is how much a team may use.
type Quota struct {
	Seats   int
	Storage uint64 // bytes
}

// quotas are the rows behind the plain functions below.
var quotas struct {
	sync.Mutex
	rows    map[int64]Quota
	queries int
}

// LoadQuota returns the quota of a team, or [ErrNoTeam]. A plain function has its
// cache from BindCaches.
//
//cache:getorset quota:{teamID} namespace=teams ttl=1h tag=team:{teamID} notfound=ErrNoTeam notfoundttl=10m
func LoadQuota(_ context.Context, teamID int64) (Quota, error) {
	quotas.Lock()
	defer quotas.Unlock()
	quotas.queries++
	q, ok := quotas.rows[teamID]
	if !ok {
		return Quota{}, ErrNoTeam
	}
	return q, nil
}

// SaveQuota stores the quota of a team.
//
//cache:set LoadQuota(teamID)
func SaveQuota(_ context.Context, teamID int64, seats int, storage uint64) (Quota, error) {
	quotas.Lock()
	defer quotas.Unlock()
	if quotas.rows == nil {
		quotas.rows = make(map[int64]Quota)
	}
	quotas.rows[teamID] = Quota{Seats: seats, Storage: storage}
	return quotas.rows[teamID], nil
}

// Dissolve removes the quota of a team, and all that is cached of it.
//
//cache:delete LoadQuota(teamID) tag=team:{teamID}
func Dissolve(_ context.Context, teamID int64) error {
	quotas.Lock()
	defer quotas.Unlock()
	delete(quotas.rows, teamID)
	return nil
}

// forget forgets all quotas.
//
//cache:clear teams
func forget() error {
	quotas.Lock()
	defer quotas.Unlock()
	clear(quotas.rows)
	return nil
}
