// Package billing changes what package teams caches, from outside.
package billing

import (
	"context"
	"errors"

	"github.com/cachegen/cachegen/generated_test/teams"
)

//go:generate go tool cachegen

// ErrUnpaid says that a team has not paid.
var ErrUnpaid = errors.New("unpaid")

// An Invoice is what a team owes.
type Invoice struct {
	TeamID int64
	Seats  int
	Cents  int64
}

// Desk closes and reopens accounts.
type Desk struct {
	Repo  *teams.UserRepo
	Seats int64 // price of a seat, in cents
}

// CloseAccount removes one user.
//
//cache:delete teams.UserRepo.FindUser(id) teams.UserRepo.ListMembers(teamID)
func (d *Desk) CloseAccount(ctx context.Context, id, teamID int64) error {
	_, err := d.Repo.Remove(ctx, id)
	return err
}

// CloseAccounts removes users of a team.
//
//cache:delete teams.UserRepo.FindUser(ids...) teams.UserRepo.ListMembers(teamID)
func (d *Desk) CloseAccounts(ctx context.Context, teamID int64, ids []int64) (int, error) {
	return d.Repo.Remove(ctx, ids...)
}

// Suspend lets what is known of users expire.
//
//cache:expire teams.UserRepo.FindUser(ids...)
func (d *Desk) Suspend(ids ...int64) error {
	if len(ids) == 0 {
		return ErrUnpaid
	}
	return nil
}

// Upgrade gives a team more seats.
//
//cache:set teams.LoadQuota(teamID)
func Upgrade(ctx context.Context, teamID int64, seats int) (teams.Quota, error) {
	q, err := teams.LoadQuota(ctx, teamID)
	if err != nil {
		return q, err
	}
	return teams.SaveQuota(ctx, teamID, q.Seats+seats, q.Storage)
}

// Downgrade takes seats away from teams; what is cached of their quotas is deleted.
//
//cache:delete teams.LoadQuota(teamIDs...)
func Downgrade(ctx context.Context, seats int, teamIDs ...int64) error {
	for _, id := range teamIDs {
		q, err := teams.LoadQuota(ctx, id)
		if err != nil {
			return err
		}
		if _, err := teams.SaveQuota(ctx, id, q.Seats-seats, q.Storage); err != nil {
			return err
		}
	}
	return nil
}

// LoadInvoice returns what a team owes for its seats.
//
//cache:getorset invoice:{teamID} tag=invoices
func (d *Desk) LoadInvoice(ctx context.Context, teamID int64) (Invoice, error) {
	q, err := teams.LoadQuota(ctx, teamID)
	if err != nil {
		return Invoice{}, err
	}
	return Invoice{TeamID: teamID, Seats: q.Seats, Cents: int64(q.Seats) * d.Seats}, nil
}
