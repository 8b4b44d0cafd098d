package users

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

//go:embed settings
var settingsFiles embed.FS

// Settings are what an operator may change about a part of the service.
type Settings struct {
	Title    string `json:"title"`
	PageSize int    `json:"page_size"`
}

// LoadSettings returns the settings of that name, or [ErrNotFound].
//
// A plain function has no wrapper to hold its cache: BindCaches gives it one, and
// callers use GetOrSetSettings. The result is a plain value that nobody modifies,
// so everyone may share it; and it is the same for all processes, so memory is
// tier enough.
//
//cache:getorset settings:{name} ttl=1h store=local shared
func LoadSettings(_ context.Context, name string) (Settings, error) {
	data, err := settingsFiles.ReadFile("settings/" + name + ".json")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		err = ErrNotFound
	}
	if err != nil {
		return Settings{}, fmt.Errorf("load settings %q: %w", name, err)
	}
	var s Settings
	if err := json.Unmarshal(data, &s); err != nil {
		return Settings{}, fmt.Errorf("load settings %q: %w", name, err)
	}
	return s, nil
}
