package demo

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cachegen/cachegen/example/users"
)

// Users of the demo by what happens to them. Those from 1 to 40 are cached early
// on, and a quarter of them is in each of the four teams.
const (
	cached    = 40
	crowded   = 50 // asked for by many at once
	renamed   = 6
	elsewhere = 7 // renamed on one instance and read on the other
	graced    = 3
	recovered = 4
	unknown   = 70 // never read before the database goes away
)

// joined is the team that somebody joins.
const joined = 2

// tiers: the database, then the second tier, then memory.
func (d *demo) tiers(t *table) {
	ids := upTo(cached)
	var cold time.Duration
	t.line(fmt.Sprintf("%d users read for the first time: from the database", cached), cost{sql: cached}, func() (result, error) {
		got, took, err := d.main.users(d.ctx, ids)
		cold = took
		return result{fmt.Sprintf("%d users", len(got)), round(cold)}, cmp.Or(err, d.matches(got, ids))
	})
	t.line("service restarted, same users: from "+d.shared(), cost{l2: readsOf(cached)}, func() (result, error) {
		if err := d.restart(); err != nil {
			return result{}, err
		}
		got, took, err := d.main.users(d.ctx, ids)
		return result{"the same", fmt.Sprintf("%s, %s faster", round(took), times(cold, took))}, cmp.Or(err, d.matches(got, ids))
	})
	t.line("once more: from memory", cost{l2: noReads}, func() (result, error) {
		got, took, err := d.main.users(d.ctx, ids)
		return result{"the same", fmt.Sprintf("%s, %s faster", round(took), times(cold, took))}, cmp.Or(err, d.matches(got, ids))
	})
}

// stampede: the database is held until every request has begun, so that all of
// them find the cache empty or a load under way.
func (d *demo) stampede(t *table) {
	t.line(fmt.Sprintf("%s requests at once for one user who is not cached", thousands(callers)), cost{sql: 1}, func() (result, error) {
		want, err := d.db.user(d.ctx, crowded)
		if err != nil {
			return result{}, err
		}
		release, err := d.db.hold(d.ctx)
		if err != nil {
			return result{}, err
		}
		var released error
		began := time.Now()
		got, err := crowd(d.ctx, d.main, callers, crowded, func() { released = release() })
		took := time.Since(began)
		for _, u := range got {
			err = cmp.Or(err, sameUser(u, want))
		}
		return result{fmt.Sprintf("%s equal answers", thousands(len(got))), round(took) + " for all"}, cmp.Or(err, released)
	})
}

// invalidation: by key, by tag, in a transaction, and from one instance to another.
func (d *demo) invalidation(t *table) {
	t.line(fmt.Sprintf("user %d renamed, then read", renamed), cost{sql: 2}, func() (result, error) {
		if err := d.main.rename(d.ctx, "users", renamed, "Grace Brewster Hopper"); err != nil {
			return result{}, err
		}
		got, took, err := d.main.users(d.ctx, []int64{renamed})
		if err != nil {
			return result{}, err
		}
		err = cmp.Or(same("name", got[0].Name, "Grace Brewster Hopper"), d.matches(got, []int64{renamed}))
		return result{got[0].Name, round(took)}, err
	})

	team, others := members(1)
	t.line(fmt.Sprintf("team 1 renamed, its %d users read: one tag dropped all", len(team)), cost{sql: 1 + int64(len(team))}, func() (result, error) {
		if err := d.main.rename(d.ctx, "teams", 1, "Languages"); err != nil {
			return result{}, err
		}
		got, took, err := d.main.users(d.ctx, team)
		if err != nil {
			return result{}, err
		}
		err = cmp.Or(same("team", got[0].Team, "Languages"), d.matches(got, team))
		return result{fmt.Sprintf("%d users of team %s", len(got), got[0].Team), round(took)}, err
	})
	t.line(fmt.Sprintf("the %d users of the other teams: still in memory", len(others)), cost{l2: noReads}, func() (result, error) {
		got, took, err := d.main.users(d.ctx, others)
		return result{fmt.Sprintf("%d users", len(got)), round(took)}, cmp.Or(err, d.matches(got, others))
	})

	var created users.User
	t.line(fmt.Sprintf("user created in team %d, whose size was cached", joined), cost{sql: 3}, func() (result, error) {
		before, err := d.main.team(d.ctx, joined)
		if err != nil {
			return result{}, err
		}
		if created, err = d.main.create(d.ctx, "Niklaus Wirth", joined); err != nil {
			return result{}, err
		}
		after, err := d.main.team(d.ctx, joined)
		if err != nil {
			return result{}, err
		}
		want, err := d.db.team(d.ctx, joined)
		err = cmp.Or(err, same("team", after, want), same("users of the team", after.Users, before.Users+1))
		return result{fmt.Sprintf("%d users, then %d", before.Users, after.Users), ""}, err
	})
	t.line("the new user read: stored when it was created", cost{l2: noReads}, func() (result, error) {
		got, took, err := d.main.users(d.ctx, []int64{created.ID})
		if err != nil {
			return result{}, err
		}
		err = cmp.Or(sameUser(got[0], created), d.matches(got, []int64{created.ID}))
		return result{got[0].Name, round(took)}, err
	})

	third, _ := members(3)
	fourth, _ := members(4)
	merged := append(third, fourth...)
	t.line("team 3 merged into 4, which is renamed: one transaction", cost{sql: 2 + int64(len(merged))}, func() (result, error) {
		if err := d.main.merge(d.ctx, 3, 4, "Systems"); err != nil {
			return result{}, err
		}
		got, took, err := d.main.users(d.ctx, merged)
		if err != nil {
			return result{}, err
		}
		err = cmp.Or(same("team", got[0].Team, "Systems"), d.matches(got, merged))
		return result{fmt.Sprintf("%d users of team %s", len(got), got[0].Team), round(took)}, err
	})

	if d.other == nil {
		return
	}
	t.line(fmt.Sprintf("user %d read on instance B: from Redis", elsewhere), cost{l2: readsOf(1)}, func() (result, error) {
		got, took, err := d.other.users(d.ctx, []int64{elsewhere})
		if err != nil {
			return result{}, err
		}
		return result{got[0].Name, round(took)}, d.matches(got, []int64{elsewhere})
	})
	t.line(fmt.Sprintf("user %d renamed on A; B hears of it and reads", elsewhere), cost{sql: 2}, func() (result, error) {
		if err := d.main.rename(d.ctx, "users", elsewhere, "Kenneth Thompson"); err != nil {
			return result{}, err
		}
		want, err := d.db.user(d.ctx, elsewhere)
		if err != nil {
			return result{}, err
		}
		took, err := d.until(want, func() (users.User, error) { return d.other.user(d.ctx, elsewhere) })
		return result{want.Name, round(took) + " after the rename"}, cmp.Or(err, same("name", want.Name, "Kenneth Thompson"))
	})
}

// outage: the database is away, and comes back.
func (d *demo) outage(t *table) {
	var before, changed users.User
	t.line(fmt.Sprintf("database taken away; user %d, who is not cached", unknown), cost{sql: 1}, func() (result, error) {
		var err error
		if before, err = d.db.user(d.ctx, graced); err != nil {
			return result{}, err
		}
		if changed, err = d.db.user(d.ctx, recovered); err != nil {
			return result{}, err
		}
		if err := d.db.takeAway(d.ctx); err != nil {
			return result{}, err
		}
		_, err = d.main.user(d.ctx, unknown)
		var r *refusal
		if !errors.As(err, &r) {
			return result{}, fmt.Errorf("want the service to fail, got error %v", err)
		}
		return result{fmt.Sprintf("an error: status %d", r.status), ""}, same("status", r.status, http.StatusInternalServerError)
	})
	t.line(fmt.Sprintf("… user %d, expired by hand: no database, grace helps", graced), cost{sql: 1}, func() (result, error) {
		if err := d.main.Users.ExpireCachedUser(d.ctx, graced); err != nil {
			return result{}, err
		}
		got, took, err := d.main.users(d.ctx, []int64{graced})
		if err != nil {
			return result{}, err
		}
		return result{got[0].Name + ", the old value", round(took)}, sameUser(got[0], before)
	})
	t.line("… and again, within gracebackoff: the database is not asked", cost{l2: noReads}, func() (result, error) {
		got, took, err := d.main.users(d.ctx, []int64{graced})
		if err != nil {
			return result{}, err
		}
		return result{got[0].Name + ", the old value", round(took)}, sameUser(got[0], before)
	})
	t.line(fmt.Sprintf("database back; user %d, expired by hand, has changed", recovered), cost{sql: 1}, func() (result, error) {
		if err := d.main.Users.ExpireCachedUser(d.ctx, recovered); err != nil {
			return result{}, err
		}
		if err := d.db.bringBack(d.ctx); err != nil {
			return result{}, err
		}
		// Behind the cache's back: only a load can know this name.
		changed.Name = "Donald E. Knuth"
		if _, err := d.db.ExecContext(d.ctx, `UPDATE users SET name = ? WHERE id = ?`, changed.Name, recovered); err != nil {
			return result{}, err
		}
		_, err := d.until(changed, func() (users.User, error) { return d.main.user(d.ctx, recovered) })
		return result{changed.Name + ", the new value", ""}, err
	})
	t.line(fmt.Sprintf("user %d renamed, then read", graced), cost{sql: 2}, func() (result, error) {
		if err := d.main.rename(d.ctx, "users", graced, "Barbara J. Liskov"); err != nil {
			return result{}, err
		}
		got, took, err := d.main.users(d.ctx, []int64{graced})
		if err != nil {
			return result{}, err
		}
		err = cmp.Or(same("name", got[0].Name, "Barbara J. Liskov"), d.matches(got, []int64{graced}))
		return result{got[0].Name, round(took)}, err
	})
}

// matches checks that got are the rows of the database.
func (d *demo) matches(got []users.User, ids []int64) error {
	want, err := d.db.users(d.ctx, ids)
	if err != nil {
		return err
	}
	if err := same("users", len(got), len(want)); err != nil {
		return err
	}
	for i := range want {
		if err := sameUser(got[i], want[i]); err != nil {
			return err
		}
	}
	return nil
}

func upTo(n int) []int64 {
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = int64(i) + 1
	}
	return ids
}

// members returns the cached users that are in a team of the seeded data, and
// those that are not.
func members(team int64) (in, out []int64) {
	for _, id := range upTo(cached) {
		if (id-1)%4+1 == team {
			in = append(in, id)
		} else {
			out = append(out, id)
		}
	}
	return in, out
}
