package entry

// Kept returns the item that memory keeps of one that was loaded or set: with the value that
// decoding gives, so that what a caller finds does not depend on the tier that has it. (Who
// waits for the load gets what was loaded.) What cannot be encoded is in no shared tier, and
// is kept as it is.
func (k *Kind) Kept(it *Item) *Item {
	if k.Lossy == nil || it == nil || it.Presence != Present || it.FromRemote {
		return it
	}
	v, err := k.Lossy(it.Value)
	if err != nil {
		return it
	}
	kept := &Item{
		Key: it.Key, scope: it.scope, num: it.num,
		Value: v, Size: k.Size(v) + Overhead + len(it.Key), Stamps: it.Stamps,
		FreshUntil: it.FreshUntil, StaleUntil: it.StaleUntil, Grace: it.Grace,
		LoadStarted: it.LoadStarted, ObtainedAt: it.ObtainedAt, RecheckAt: it.RecheckAt, RefreshAt: it.RefreshAt,
		FlightID: it.FlightID, LocalOnly: it.LocalOnly, Expired: it.Expired, Presence: it.Presence,
		packed: it.packed,
	}
	kept.Confirm(it.Generation(), it.ConfirmedAt())
	return kept
}
