package exact

import (
	"database/sql"
	"encoding/json"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Text that is made for people loses what people do not miss. What a type is made of, or
// its methods for machines, come first, so that a value is the same from every tier.
func TestTextForPeopleIsNotPreferredToWhatIsExact(t *testing.T) {
	float, _, err := big.ParseFloat("1.0000000000000000000000000000000000000001", 10, 200, big.ToPositiveInf)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 2, 3, 4, 5, 6, 7, time.FixedZone("Office", 3600))
	odd := url.URL{Scheme: "x", User: url.User("u"), Host: "h", Path: "no slash", RawQuery: "a=%zz", Fragment: "f", RawFragment: "wrong"}
	parsed, err := url.Parse("https://user:pass@example.com:80/a%2Fb/c?q=1#frag")
	if err != nil {
		t.Fatal(err)
	}
	records := map[int64]*Record{
		1: {
			Name: NullString{sql.NullString{String: "", Valid: true}}, Born: Date{-1, 13, 32}, ID: ID{1, 255}, Color: 7,
			Colors: map[Color]ID{Green: {1}, 99: {2}}, Price: Price{big.NewInt(12345), -3}, Float: float,
			Ratio: big.NewRat(1, 3), Whole: *big.NewInt(-5), Stamp: Stamp(at), Event: Event{at, "event"}, Home: *parsed,
			Links: map[string]url.URL{"odd": odd, "parsed": *parsed}, Link: &url.URL{User: url.UserPassword("", "")},
			IP: net.IP{127, 0, 0, 1}, Addr: netip.MustParseAddrPort("[fe80::1%eth0]:80"), Null: sql.Null[time.Time]{V: at, Valid: true},
			Number: "1e400", Raw: json.RawMessage(` {"a": 1 }`), Header: map[string][]string{"A": nil, "B": {}}, Elapsed: 1,
		},
		2: {Name: NullString{sql.NullString{String: "kept although NULL"}}, Price: Price{new(big.Int), 0}, IP: net.ParseIP("127.0.0.1")},
	}
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		if err := errors.Join(BindCaches(stores), stores.Ready(t.Context())); err != nil {
			t.Fatal(err)
		}
		for id, want := range records {
			Records[id] = want
			for range 3 {
				got, err := GetOrSetRecord(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) {
					a, b := reflect.ValueOf(*got), reflect.ValueOf(*want)
					for i := range a.NumField() {
						if x, y := a.Field(i).Interface(), b.Field(i).Interface(); !reflect.DeepEqual(x, y) {
							t.Errorf("%s is %#v, want %#v", a.Type().Field(i).Name, x, y)
						}
					}
				}
				if id == 1 && (got.Float.Cmp(float) != 0 || got.Float.Prec() != 200 || got.Float.Mode() != big.ToPositiveInf) {
					t.Errorf("the float is %v, %d bits, %v", got.Float, got.Float.Prec(), got.Float.Mode())
				}
			}
		}
	})
}

// What a source says may be lost is lost in every tier alike: memory keeps what decoding
// gives, also where nobody copies the value. Who loads it gets what the loader returned.
func TestWhatIsLostIsLostInEveryTier(t *testing.T) {
	lost := func(t *testing.T, p *Page) {
		t.Helper()
		if p.Title != "Title" || p.Match.String() != "a+" || p.Length.exact != 1.2 || p.Session != "" || p.cached != nil {
			t.Errorf("a hit is %+v", p)
		}
	}
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		if err := errors.Join(BindCaches(stores), stores.Ready(t.Context())); err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		for name, find := range map[string]func() (*Page, error){
			"copied": func() (*Page, error) { return GetOrSetPage(ctx, 1) },
			"shared": func() (*Page, error) { return GetOrSetPageShared(ctx, 1) },
		} {
			for i := range 3 {
				p, err := find()
				if err != nil {
					t.Fatal(name, err)
				}
				if i > 0 {
					lost(t, p)
				} else if p.Length.exact != 1.25 || p.Session != "session" || *p.cached != "cached 1" {
					t.Errorf("%s: the load returned %+v", name, p)
				}
			}
		}
		if err := SetCachedPage(ctx, 2, pageOf(2)); err != nil {
			t.Fatal(err)
		}
		p, ok, err := GetCachedPage(ctx, 2)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		lost(t, p)
		for i := range 3 {
			plain, err := GetOrSetPlain(ctx, 3)
			if err != nil || plain.N != 3 || (plain.Session == 7) != (i == 0) {
				t.Errorf("read %d is %+v, %v", i, plain, err)
			}
		}
	})
}
