package demo

import (
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

// tiers: the database, then the second tier, then memory.
func (d *demo) tiers(t *table) {
	ids := upTo(cached)
	var cold time.Duration
	t.line(fmt.Sprintf("%d users read for the first time: from the database", cached), cached, func() (result, error) {
		got, took, err := d.main.users(d.ctx, ids)
		cold = took
		return result{fmt.Sprintf("%d users", len(got)), round(cold)}, errors.Join(err, d.matches(got, ids))
	})
	t.line("service restarted, same users: from "+d.shared(), 0, func() (result, error) {
		if err := d.restart(); err != nil {
			return result{}, err
		}
		got, took, err := d.main.users(d.ctx, ids)
		return result{"the same", fmt.Sprintf("%s, %s faster", round(took), times(cold, took))}, errors.Join(err, d.matches(got, ids))
	})
	t.line("once more: from memory", 0, func() (result, error) {
		got, took, err := d.main.users(d.ctx, ids)
		return result{"the same", fmt.Sprintf("%s, %s faster", round(took), times(cold, took))}, errors.Join(err, d.matches(got, ids))
	})
}

// stampede: the database is held until every request has begun, so that all of
// them find the cache empty or a load under way.
func (d *demo) stampede(t *table) {
	t.line(fmt.Sprintf("%s requests at once for one user who is not cached", thousands(callers)), 1, func() (result, error) {
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
			err = errors.Join(err, sameUser(u, want))
			if err != nil {
				break
			}
		}
		return result{fmt.Sprintf("%s equal answers", thousands(len(got))), round(took) + " for all"}, errors.Join(err, released)
	})
}

// invalidation: by key, by tag, and from one instance to another.
func (d *demo) invalidation(t *table) {
	t.line(fmt.Sprintf("user %d renamed, then read", renamed), 2, func() (result, error) {
		if err := d.main.rename(d.ctx, "users", renamed, "Grace Brewster Hopper"); err != nil {
			return result{}, err
		}
		got, took, err := d.main.users(d.ctx, []int64{renamed})
		if err != nil {
			return result{}, err
		}
		err = errors.Join(same("name", got[0].Name, "Grace Brewster Hopper"), d.matches(got, []int64{renamed}))
		return result{got[0].Name, round(took)}, err
	})

	team, others := members(1)
	t.line(fmt.Sprintf("team 1 renamed, its %d users read: one tag dropped all", len(team)), 1+int64(len(team)), func() (result, error) {
		if err := d.main.rename(d.ctx, "teams", 1, "Languages"); err != nil {
			return result{}, err
		}
		got, took, err := d.main.users(d.ctx, team)
		if err != nil {
			return result{}, err
		}
		err = errors.Join(same("team", got[0].Team, "Languages"), d.matches(got, team))
		return result{fmt.Sprintf("%d users of team %s", len(got), got[0].Team), round(took)}, err
	})
	t.line(fmt.Sprintf("the %d users of the other teams: still in memory", len(others)), 0, func() (result, error) {
		got, took, err := d.main.users(d.ctx, others)
		return result{fmt.Sprintf("%d users", len(got)), round(took)}, errors.Join(err, d.matches(got, others))
	})

	if d.other == nil {
		return
	}
	t.line(fmt.Sprintf("user %d read on instance B: from Redis", elsewhere), 0, func() (result, error) {
		got, took, err := d.other.users(d.ctx, []int64{elsewhere})
		if err != nil {
			return result{}, err
		}
		return result{got[0].Name, round(took)}, d.matches(got, []int64{elsewhere})
	})
	t.line(fmt.Sprintf("user %d renamed on A; B hears of it and reads", elsewhere), 2, func() (result, error) {
		if err := d.main.rename(d.ctx, "users", elsewhere, "Kenneth Thompson"); err != nil {
			return result{}, err
		}
		want, err := d.db.user(d.ctx, elsewhere)
		if err != nil {
			return result{}, err
		}
		took, err := d.until(want, func() (users.User, error) { return d.other.user(d.ctx, elsewhere) })
		return result{want.Name, round(took) + " after the rename"}, errors.Join(err, same("name", want.Name, "Kenneth Thompson"))
	})
}

// outage: the database is away, and comes back.
func (d *demo) outage(t *table) {
	var before, changed users.User
	t.line(fmt.Sprintf("database taken away; user %d, who is not cached", unknown), 1, func() (result, error) {
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
	t.line(fmt.Sprintf("… user %d, past the ttl: the database fails, grace helps", graced), 1, func() (result, error) {
		if err := d.main.Users.ExpireUser(d.ctx, graced); err != nil {
			return result{}, err
		}
		got, took, err := d.main.users(d.ctx, []int64{graced})
		if err != nil {
			return result{}, err
		}
		return result{got[0].Name + ", the old value", round(took)}, sameUser(got[0], before)
	})
	t.line("… and again: the database is left alone for a while", 0, func() (result, error) {
		got, took, err := d.main.users(d.ctx, []int64{graced})
		if err != nil {
			return result{}, err
		}
		return result{got[0].Name + ", the old value", round(took)}, sameUser(got[0], before)
	})
	t.line(fmt.Sprintf("database back; user %d, past the ttl, has changed", recovered), 1, func() (result, error) {
		if err := d.main.Users.ExpireUser(d.ctx, recovered); err != nil {
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
	t.line(fmt.Sprintf("user %d renamed, then read", graced), 2, func() (result, error) {
		if err := d.main.rename(d.ctx, "users", graced, "Barbara J. Liskov"); err != nil {
			return result{}, err
		}
		got, took, err := d.main.users(d.ctx, []int64{graced})
		if err != nil {
			return result{}, err
		}
		err = errors.Join(same("name", got[0].Name, "Barbara J. Liskov"), d.matches(got, []int64{graced}))
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
