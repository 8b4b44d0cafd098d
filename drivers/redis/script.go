package redis

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A script changes one key (KEYS[1]) and its lease (KEYS[2]) in one step. The
// server keeps scripts by their checksum, until it restarts.
type script struct{ text, sum string }

func newScript(text string) *script {
	sum := sha1.Sum([]byte(text))
	return &script{text, hex.EncodeToString(sum[:])}
}

// store is the end of each script that stores ARGV[1] for ARGV[2] milliseconds and ends the
// lease.
const store = `
if ARGV[2] == '0' then redis.call('set', KEYS[1], ARGV[1]) else redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2]) end
redis.call('del', KEYS[2])
`

// held is the begin of each script that asks for the value of KEYS[1] or KEYS[2]. What is of
// another type than a string is absent to every read, and so it is to a change.
const held = `
local function held(key)
  local value = redis.pcall('get', key)
  if type(value) == 'table' then return false end
  return value
end
`

// lent is the begin of each script that asks who has the lease. A lease is a string: 0, or 1 if
// somebody waits for its end, and the token.
const lent = held + `
local function lent()
  local lease = held(KEYS[2])
  local awaited = lease and string.sub(lease, 1, 1)
  if awaited ~= '0' and awaited ~= '1' then return '0', false end
  return awaited, string.sub(lease, 2)
end
`

var (
	setScript = newScript(store + `return 1`)

	// Returns the value that was there before, or nil if the script has stored.
	addScript = newScript(held + `local before = held(KEYS[1])
if before then return before end` + store + `return false`)

	// ARGV[3] is the expected value, and ARGV[4] three digits: whether a value is expected, whether
	// there is a new one, and whether a lease prevents the swap. They are one argument because a
	// server refuses more than ten of a client that has not logged in, and does not say why then.
	swapScript = newScript(lent + `local now = held(KEYS[1])
local expected, new, unleased = string.match(ARGV[4], '(%d)(%d)(%d)')
if expected == '1' then
  if now ~= ARGV[3] then return 0 end
elseif now then return 0 end
if unleased == '1' then
  local _, holder = lent()
  if holder and redis.call('pttl', KEYS[2]) >= 0 then return 0 end
end
if new == '0' then redis.call('del', KEYS[1], KEYS[2]) return 1 end` + store + `return 1`)

	// ARGV has the token, the time in milliseconds, and whether the lease is taken only without
	// a value, is taken from another token, is noted as awaited. A lease that has no end is none
	// of this driver. That a full server cannot note it is no error: who waits asks again.
	leaseScript = newScript(lent + `local value = held(KEYS[1])
if value and ARGV[3] == '1' then return {0, value} end
local awaited, holder = lent()
if holder and ARGV[4] == '0' then
  local left = redis.call('pttl', KEYS[2])
  if left >= 0 then
    left = math.max(left, 1)
    if ARGV[5] == '1' and awaited == '0' then redis.pcall('set', KEYS[2], '1' .. holder, 'px', left) end
    return {0, value, holder, left}
  end
end
redis.call('set', KEYS[2], awaited .. ARGV[1], 'px', ARGV[2])
return {1, value}`)

	// ARGV[3] is the token. Returns 2 if the lease was awaited.
	fillScript = newScript(lent + `local awaited, holder = lent()
if holder ~= ARGV[3] then return 0 end` + store + `return 1 + awaited`)

	// ARGV[1] is the token, ARGV[2] the time in milliseconds.
	renewScript = newScript(lent + `local _, holder = lent()
if holder ~= ARGV[1] then return 0 end
return redis.call('pexpire', KEYS[2], ARGV[2])`)

	// ARGV[1] is the token. Returns whether the lease was awaited.
	releaseScript = newScript(lent + `local awaited, holder = lent()
if holder ~= ARGV[1] then return 0 end
redis.call('del', KEYS[2])
return tonumber(awaited)`)

	// ARGV[1] is UNLINK or DEL. Returns whether there was a value.
	deleteScript = newScript(`redis.call('del', KEYS[2])
return redis.call(ARGV[1], KEYS[1])`)
)

// A call is the key and the arguments of one execution of a script.
type call struct {
	key  string
	args []any
}

// once is a command that the client does not send again after a broken connection, nor
// others of its pipeline: the server may have executed it. A second execution would report
// that it did nothing, or bring back a value that has been deleted since the first one.
type once struct{ goredis.Cmder }

func (once) NoRetry() bool { return true }

// A Cluster that moves a slot returns TRYAGAIN, and executes nothing, while a key and its
// lease are on different nodes.
const (
	maxTries  = 8
	firstWait = 20 * time.Millisecond // doubled after each try: 2.5 s in all
)

// run executes a script for many keys, in one pipeline, and returns the replies. If the
// server does not have the script, run sends its text.
func (d *Driver) run(ctx context.Context, s *script, calls []call) ([]*goredis.Cmd, error) {
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	replies := make([]*goredis.Cmd, len(calls))
	which := make([]int, len(calls))
	for i := range which {
		which[i] = i
	}
	command, body, wait := "evalsha", s.sum, firstWait
	for try := 1; len(which) > 0; try++ {
		cmds := make([]goredis.Cmder, len(which))
		for n, i := range which {
			args := append(make([]any, 0, 5+len(calls[i].args)), command, body, 2, calls[i].key, leaseKey(calls[i].key))
			replies[i] = goredis.NewCmd(ctx, append(args, calls[i].args...)...)
			cmds[n] = once{replies[i]}
		}
		if err := d.execute(ctx, cmds); err != nil {
			return nil, err
		}
		var again []int
		moving := false
		for _, i := range which {
			err := replies[i].Err()
			later := goredis.HasErrorPrefix(err, "TRYAGAIN") && try < maxTries
			if later || goredis.HasErrorPrefix(err, "NOSCRIPT") && command == "evalsha" {
				again = append(again, i)
			}
			moving = moving || later
		}
		if moving {
			if err := sleep(ctx, wait); err != nil {
				return nil, err
			}
			wait *= 2
		}
		which, command, body = again, "eval", s.text
	}
	return replies, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// numbers is run for scripts that return a number.
func (d *Driver) numbers(ctx context.Context, s *script, calls []call) ([]int64, error) {
	replies, err := d.run(ctx, s, calls)
	if err != nil {
		return nil, err
	}
	numbers := make([]int64, len(replies))
	for i, reply := range replies {
		if numbers[i], err = reply.Int64(); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

// decide is run for scripts that return 0 or 1: whether they had an effect.
func (d *Driver) decide(ctx context.Context, s *script, calls []call) ([]bool, error) {
	numbers, err := d.numbers(ctx, s, calls)
	if err != nil {
		return nil, err
	}
	did := make([]bool, len(numbers))
	for i, n := range numbers {
		did[i] = n != 0
	}
	return did, nil
}
