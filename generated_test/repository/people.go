package repository

import (
	"context"
	"strings"
)

// A User is a person.
type User struct {
	ID   int64
	Name string
	Tags []string
}

// Users and Settings are two instances of one repository.
type (
	Users    = Repo[int64, *User]
	Settings = Repo[string, string]
)

// A UserName is a name; Alias is another word for it.
type (
	UserName string
	Alias    = UserName
)

// A Finder finds users, whichever way.
type Finder interface {
	FindByName(ctx context.Context, name Alias) (*User, error)
}

// A Directory has names for what a finder finds. There is no more to it, so that
// its methods are those of a value.
//
//cache:wrap CachedDirectory ttl=1m tag=directory
type Directory struct {
	Finder
	Site string
}

// FindUser finds a user by any name.
//
//cache:getorset directory:{recv.Site}:{name} notfound=nil notfoundttl=1m
func (d Directory) FindUser(ctx context.Context, name Alias) (*User, error) {
	return d.FindByName(ctx, Alias(strings.ToLower(string(name))))
}

// FindInitials returns the initials of a user.
//
//cache:getorset initials:{recv.Site}:{name}
func (d Directory) FindInitials(ctx context.Context, name UserName) (initials []rune, err error) {
	user, err := d.FindByName(ctx, name)
	if err != nil || user == nil {
		return nil, err
	}
	for word := range strings.FieldsSeq(user.Name) {
		initials = append(initials, []rune(word)[0])
	}
	return initials, nil
}

// Reindex makes all names anew.
//
//cache:delete tag=directory
func (d Directory) Reindex(ctx context.Context) error { return ctx.Err() }

// A UserPage is a page of users; it is an instance of a generic type by an alias.
type UserPage = Page[User]

// archive has users that nobody outside may see.
//
//cache:wrap namespace=archive ttl=1h
type archive struct {
	*Users
	pages int
}

// readPage returns a page of the archive.
//
//cache:getorset archived:{number} name=archived
func (a *archive) readPage(ctx context.Context, number int) (page UserPage, err error) {
	a.pages++
	a.query(func() {
		for _, u := range a.rows {
			if u.ID%10 == int64(number) {
				page.Items = append(page.Items, *u)
			}
		}
		page.Total = len(a.rows)
	})
	return page, nil
}

// readPages returns pages of the archive that have anybody in them.
//
//cache:batch readPage(numbers)
func (a *archive) readPages(ctx context.Context, numbers []int) (map[int]UserPage, error) {
	pages := make(map[int]UserPage)
	for _, n := range numbers {
		page, err := a.readPage(ctx, n)
		if err != nil {
			return pages, err
		}
		if len(page.Items) > 0 {
			pages[n] = page
		}
	}
	return pages, nil
}

// rewrite changes a page of the archive.
//
//cache:delete readPage(number)
func (a *archive) rewrite(number int) error { return nil }
