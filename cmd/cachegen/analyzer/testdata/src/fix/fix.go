package fix

import "context"

type User struct{ ID, TeamID int64 }

type Filter struct{ Page, Size int }

// want +2 "unknown directive //cache:wrp"
//
//cache:wrp CachedRepo ttl=5m
type Repo struct{ tenant string }

// want +1 "is an ordinary comment, not a directive"
// cache:getorset user:{id}   ttl=5m
func (*Repo) FindUser(ctx context.Context, id int64) (*User, error) { return nil, nil }

// want +2 "no parameter \"idd\"" "unknown option \"tll\""
//
//cache:getorset team:{idd} tll=5m
func (*Repo) FindTeam(ctx context.Context, id int64) (*User, error) { return nil, nil }

// want +2 "has no field \"Pge\"" "has no field \"tenat\""
//
//cache:getorset users:{recv.tenat}:{filter.Pge} ttl=5m ignore=filter.Size
func (*Repo) FindUsers(ctx context.Context, filter Filter) ([]User, error) { return nil, nil }

// want +2 "unexpected argument \"ttl:5m\"" "shared takes no value"
//
//cache:getorset colon:{id} ttl:5m shared=true
func FindColon(ctx context.Context, id int64) (*User, error) { return nil, nil }

// want +2 "unexpected argument \"shard\""
//
//cache:getorset flag:{id} ttl=5m shard
func FindFlag(ctx context.Context, id int64) (*User, error) { return nil, nil }

// want +2 "has a comma"
//
//cache:getorset comma:{id},ttl=5m,grace=1h
func FindComma(ctx context.Context, id int64) (*User, error) { return nil, nil }

// want +2 "has a comma"
//
//cache:getorset tagged:{id} tag=a,b
func FindTagged(ctx context.Context, id int64) (*User, error) { return nil, nil }

// want +2 "no cached function FindTaged in this package"
//
//cache:delete FindTaged(id)
func Delete(ctx context.Context, id int64) error { return nil }

// want +2 "no parameter \"uer\"" "is not a target"
//
//cache:expire FindTagged(uer.ID) tag:a
func Expire(ctx context.Context, user *User) error { return nil }

// want +2 "no parameter \"limt\""
//
//cache:getorset "quoted:{id}" ignore=limt ignore=limit
func FindQuoted(ctx context.Context, id int64, limit int) (*User, error) { return nil, nil }

// What is in a quoted argument with an escape in front of it is not touched.
//
// want +2 "no parameter \"idd\""
//
//cache:getorset "esc\x61ped:{idd}"
func FindEscaped(ctx context.Context, id int64) (*User, error) { return nil, nil }

// Nothing is near.
//
// want +2 "unknown directive //cache:frobnicate"
//
//cache:frobnicate user:{id}
func FindNothing(ctx context.Context, id int64) (*User, error) { return nil, nil }
