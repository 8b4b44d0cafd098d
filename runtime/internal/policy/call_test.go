package policy

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
)

// every returns a call that gives the option of that name.
func every(name string) *Call {
	minute := Some(time.Minute)
	return map[string]*Call{
		"TTL": {Options: Options{TTL: minute}}, "Grace": {Options: Options{Grace: minute}}, "GraceBackoff": {Options: Options{GraceBackoff: minute}},
		"Timeout": {Options: Options{SoftTimeout: minute}}, "HardTimeout": {Options: Options{HardTimeout: minute}},
		"LockTimeout": {Options: Options{LockTimeout: minute}}, "ErrorTTL": {Options: Options{ErrorTTL: minute}},
		"NotFoundTTL": {Options: Options{NotFoundTTL: minute}}, "L1TTL": {Options: Options{L1TTL: minute}},
		"RefreshAfter": {Options: Options{Refresh: Some(Span{Time: time.Minute})}}, "RefreshPercent": {Options: Options{Refresh: Some(Span{Percent: 50})}},
		"Jitter": {Options: Options{Jitter: Some(Span{Time: time.Minute})}}, "JitterPercent": {Options: Options{Jitter: Some(Span{Percent: 50})}},
		"SuppressL2Errors": {Options: Options{SuppressL2Errors: Some(false)}}, "SkipL2Write": {Options: Options{SkipL2Write: Some(false)}},
		"SkipBusNotify": {Options: Options{SkipBusNotify: Some(true)}}, "OnLoadError": {Options: Options{OnLoadError: Some[func(*event.LoadError)](nil)}},
		"BatchMax": {Options: Options{BatchMax: Some(0)}}, "Tags": {Tags: []string{}}, "ForceFresh": {ForceFresh: true}, "AllowStale": {AllowStale: true},
		"InvalidationErrors": {Options: Options{InvalidationErrors: Some(Log)}},
	}[name]
}

// An option that does nothing at a method, and is taken there all the same, is a mistake that
// nobody sees.
func TestAnOptionIsTakenWhereItHasAMeaningAndNowhereElse(t *testing.T) {
	storing := "GetOrSet GetOrSetForever GetOrSetMany Set SetForever SetOptions"
	mortal := "GetOrSet GetOrSetMany Set SetOptions"
	loading := "GetOrSet GetOrSetForever GetOrSetMany"
	for name, methods := range map[string]string{
		"TTL": mortal, "Jitter": mortal, "JitterPercent": mortal, "RefreshPercent": mortal,
		"Grace": storing, "RefreshAfter": storing, "L1TTL": storing, "NotFoundTTL": storing, "SkipL2Write": storing, "Tags": storing,
		"GraceBackoff": loading + " SetOptions", "ErrorTTL": loading + " SetOptions",
		"Timeout": loading, "HardTimeout": loading, "LockTimeout": loading, "OnLoadError": loading, "ForceFresh": loading,
		"SuppressL2Errors": loading + " Get GetMany", "AllowStale": "Get GetMany", "BatchMax": "GetOrSetMany GetMany",
		"SkipBusNotify": "Set SetForever", "InvalidationErrors": "Set SetForever",
	} {
		for _, m := range []Method{GetOrSet, GetOrSetMany, Get, GetMany, Set, SetOptions} {
			for _, forever := range []bool{false, true} {
				if forever && m != GetOrSet && m != Set {
					continue
				}
				c := *every(name)
				c.Forever = forever
				err := c.Check(m)
				switch taken := strings.Contains(" "+methods+" ", " "+c.NameOf(m)+" "); {
				case taken && err != nil:
					t.Errorf("%s at %s: %v", name, c.NameOf(m), err)
				case !taken && err == nil:
					t.Errorf("%s at %s is taken", name, c.NameOf(m))
				case !taken && (!strings.HasPrefix(err.Error(), name+" has no meaning: "+c.NameOf(m)+" ") || !strings.Contains(err.Error(), "; ")):
					t.Errorf("%s at %s: the error does not say why, and what to do: %v", name, c.NameOf(m), err)
				}
			}
		}
	}
}

// Whoever adds an option says where it has a meaning.
func TestTheTableOfCallOptionsHasEveryOption(t *testing.T) {
	told := make(map[string]bool)
	for _, o := range callOptions {
		c := every(o.name)
		if told[o.name] || c == nil || !o.given(c) || o.given(&Call{}) {
			t.Errorf("%s is in the table twice, is in no test, or is not seen", o.name)
		}
		told[o.name] = true
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Call]()) {
		var c Call
		switch v := reflect.ValueOf(&c).Elem().FieldByIndex(f.Index); {
		case f.Name == "Options" || f.Name == "Forever" || f.Name == "Nil": // no options
			continue
		case v.Kind() == reflect.Struct:
			v.FieldByName("Given").SetBool(true)
		case v.Kind() == reflect.Bool:
			v.SetBool(true)
		default:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		seen := false
		for _, o := range callOptions {
			seen = seen || o.given(&c)
		}
		if !seen {
			t.Errorf("%s is in no line of the table", f.Name)
		}
	}
}

func TestACallIsRefusedForWhatNoCallCanMean(t *testing.T) {
	second := Some(time.Second)
	for want, o := range map[string]Options{
		"TTL -1s is negative":                     {TTL: Some(-time.Second)},
		"ErrorTTL -1s is negative":                {ErrorTTL: Some(-time.Second)},
		"JitterPercent 100 is not":                {Jitter: Some(Span{Percent: 100})},
		"RefreshPercent -1 is not":                {Refresh: Some(Span{Percent: -1})},
		"HardTimeout 1s is not above Timeout 1s":  {HardTimeout: second, SoftTimeout: second},
		"L1TTL 1m0s is above the TTL 1s":          {TTL: second, L1TTL: Some(time.Minute)},
		"RefreshAfter 1s is not below the TTL 1s": {TTL: second, Refresh: Some(Span{Time: time.Second})},
		"TTL 1s is not above Jitter 1s":           {TTL: second, Jitter: Some(Span{Time: time.Second})},
	} {
		if err := (&Call{Options: o}).Check(GetOrSet); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s…", err, want)
		}
	}
	if err := (&Call{Nil: true}).Check(Get); err == nil || err.Error() != "one of the options is nil" {
		t.Error(err)
	}
	if err := (&Call{Options: Options{BatchMax: Some(-1)}}).Check(GetOrSetMany); err == nil {
		t.Error("BatchMax -1 is taken")
	}
	nothing := Options{TTL: Some[time.Duration](0), L1TTL: second, Refresh: Some(Span{Time: time.Second})}
	for _, m := range []Method{GetOrSet, Set, SetOptions} {
		if err := (&Call{Options: nothing}).Check(m); err != nil {
			t.Errorf("a TTL of zero, which stores nothing: %v", err)
		}
	}
	// The time until what has been loaded is over may be over.
	if err := (&Call{Options: Options{TTL: Some(-time.Second), L1TTL: second}}).Check(SetOptions); err != nil {
		t.Error(err)
	}
}
