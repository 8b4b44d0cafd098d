package processes

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	gonats "github.com/nats-io/nats.go"
	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/nats"
	"github.com/cachegen/cachegen/drivers/postgres"
	"github.com/cachegen/cachegen/drivers/postgres/pgxbus"
	"github.com/cachegen/cachegen/drivers/redis"
)

// A system is the servers that the processes share.
type system struct {
	Kind  string // redis, cluster, sentinel, postgres, nats
	Addrs []string
	URL   string
}

// dial connects through the gateway.
func dial(gateway, purpose, addr string) (net.Conn, error) {
	c, err := net.Dial("unix", gateway)
	if err != nil {
		return nil, err
	}
	if _, err = fmt.Fprintln(c, purpose, addr); err == nil {
		// One byte at a time: nothing of what the server says may be taken along.
		line := make([]byte, 0, 3)
		for one := make([]byte, 1); err == nil && len(line) < 3; {
			if _, err = c.Read(one); err == nil {
				line = append(line, one[0])
			}
		}
		if err == nil && string(line) != "ok\n" {
			err = fmt.Errorf("gateway: %q", line)
		}
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("gateway: %s is not reached: %w", addr, err)
	}
	return c, nil
}

type dialer struct{ gateway, purpose string }

func (d dialer) DialContext(_ context.Context, _, addr string) (net.Conn, error) {
	return dial(d.gateway, d.purpose, addr)
}

// Dial is for clients that know no context.
func (d dialer) Dial(_, addr string) (net.Conn, error) { return dial(d.gateway, d.purpose, addr) }

// SkipTLSHandshake tells nats that what Dial returns is to be used as it is.
func (d dialer) SkipTLSHandshake() bool { return false }

// open connects a child.
func (s system) open(gateway string) (tier drivers.L2, bus drivers.Bus, release func(), err error) {
	tierDial, busDial := dialer{gateway, "tier"}, dialer{gateway, "bus"}
	switch s.Kind {
	case "redis", "sentinel", "cluster":
		client := func(d dialer) goredis.UniversalClient {
			switch s.Kind {
			case "cluster":
				return goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: s.Addrs, Dialer: d.DialContext})
			case "sentinel":
				return goredis.NewFailoverClient(&goredis.FailoverOptions{MasterName: "cachegen", SentinelAddrs: s.Addrs, Dialer: d.DialContext})
			}
			return goredis.NewClient(&goredis.Options{Addr: s.Addrs[0], Dialer: d.DialContext})
		}
		one, two := client(tierDial), client(busDial)
		return redis.New(one, redis.Options{}), redis.NewBus(two, redis.BusOptions{}), func() { one.Close(); two.Close() }, nil
	case "postgres":
		config, err := pgx.ParseConfig(s.URL)
		if err != nil {
			return nil, nil, nil, err
		}
		config.DialFunc, config.LookupFunc = tierDial.DialContext, lookup
		db := stdlib.OpenDB(*config)
		db.SetMaxOpenConns(8)
		pool, err := pgxpool.ParseConfig(s.URL)
		if err != nil {
			return nil, nil, nil, err
		}
		pool.ConnConfig.DialFunc, pool.ConnConfig.LookupFunc, pool.MaxConns = busDial.DialContext, lookup, 4
		p, err := pgxpool.NewWithConfig(context.Background(), pool)
		if err != nil {
			return nil, nil, nil, err
		}
		return postgres.New(db, postgres.Options{}), pgxbus.New(p, pgxbus.Options{}), func() { closeAll(db); p.Close() }, nil
	case "nats":
		connect := func(d dialer) (*gonats.Conn, error) {
			return gonats.Connect(s.URL, gonats.SetCustomDialer(d), gonats.MaxReconnects(-1), gonats.ReconnectWait(100*time.Millisecond),
				gonats.PingInterval(time.Second), gonats.RetryOnFailedConnect(true))
		}
		one, err := connect(tierDial)
		if err != nil {
			return nil, nil, nil, err
		}
		two, err := connect(busDial)
		if err != nil {
			return nil, nil, nil, err
		}
		return nats.New(one, nats.Options{Bucket: "cache"}), nats.NewBus(two, nats.BusOptions{}), func() { one.Close(); two.Close() }, nil
	}
	return nil, nil, nil, fmt.Errorf("no system %q", s.Kind)
}

func closeAll(db *sql.DB) { _ = db.Close() }

// lookup leaves names to the gateway.
func lookup(_ context.Context, host string) ([]string, error) { return []string{host}, nil }

// redisCommand sends one command to a server, past all gateways, and returns the first line of
// the answer.
func redisCommand(addr, line string) (string, error) {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(answer), err
}
