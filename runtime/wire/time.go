package wire

import (
	"errors"
	"path"
	"sync"
	"time"

	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/cachegen/cachegen/runtime/internal/scan"
)

// Time writes v's instant and location. In UTC it is MessagePack's timestamp;
// elsewhere, an array of that, the location's name, the zone's abbreviation and its
// offset in seconds. A monotonic reading is left out.
func (e *Encoder) Time(v time.Time) {
	if e.err != nil {
		return
	}
	name := v.Location().String()
	abbreviation, offset := v.Zone()
	if name != "UTC" || abbreviation != "UTC" || offset != 0 {
		e.Array(4)
	}
	e.Fail(e.m.EncodeTime(v))
	if name == "UTC" && abbreviation == "UTC" && offset == 0 {
		return
	}
	e.String(name)
	e.String(abbreviation)
	e.Int(int64(offset))
}

// Time reads a time. It has the location of the one that was written if this
// machine knows one of that name with that offset at that instant, and otherwise
// one that is nothing but the offset.
func (d *Decoder) Time() time.Time {
	c, ok := d.wanted("a time")
	if !ok {
		return time.Time{}
	}
	if msgpcode.IsExt(c) {
		return d.instant()
	}
	if !d.Array(4) {
		return time.Time{}
	}
	t := d.instant()
	name, abbreviation, offset := d.String(), d.String(), int(d.Int32())
	if d.err != nil {
		return time.Time{}
	}
	if loc := d.location(name); loc != nil {
		in := t.In(loc)
		if a, o := in.Zone(); a == abbreviation && o == offset {
			return in
		}
	}
	return t.In(time.FixedZone(abbreviation, offset))
}

var errTime = errors.New("not a timestamp")

func (d *Decoder) instant() time.Time {
	if !msgpcode.IsExt(d.peek()) {
		d.Fail(errTime)
		return time.Time{}
	}
	if _, _, err := scan.Header(d.in.data, d.in.at); err != nil { // msgpack makes room before it looks
		d.Fail(err)
		return time.Time{}
	}
	t, err := d.m.DecodeTime()
	d.Fail(err)
	return t.UTC()
}

// locations are those that have been asked for. Anyone may have written the names, and a
// location takes kilobytes. So each is made once, and names of which there is none are
// remembered, but not for ever.
var locations = struct {
	sync.RWMutex
	byName map[string]*time.Location
	none   map[string]bool
}{byName: map[string]*time.Location{}, none: map[string]bool{}}

const (
	maxLocations = 4000 // a machine has less than 2,000
	maxNone      = 1000
	maxName      = 100 // bytes in a name
	// maxLookups is for how many names that are not known one value has the machine's files
	// searched.
	maxLookups = 100
)

// location returns the location of that name, or nil.
func (d *Decoder) location(name string) *time.Location {
	if name == "Local" {
		return time.Local
	}
	if len(name) > maxName || name != "" && path.Clean(name) != name { // one place has one name
		return nil
	}
	locations.RLock()
	loc, none := locations.byName[name], locations.none[name]
	full := len(locations.byName) >= maxLocations
	locations.RUnlock()
	if loc != nil || none || full || d.lookups == maxLookups {
		return loc
	}
	loc, err := time.LoadLocation(name)
	locations.Lock()
	defer locations.Unlock()
	if err == nil {
		locations.byName[name] = loc
		return loc
	}
	d.lookups++
	if len(locations.none) >= maxNone {
		clear(locations.none)
	}
	locations.none[name] = true
	return nil
}
