package sqloutbox

// Empty is the payload with which package pgxbus carries an empty message.
const Empty = "0:1:"

// Channel returns the channel on which transactions tell of entries in a table. With the longest
// name of a table it has no more than 63 bytes, which is what PostgreSQL allows.
func Channel(table string) string { return "outbox:" + table }
