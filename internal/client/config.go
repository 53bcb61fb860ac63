package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// Config is what `sallyport login` keeps: which gateway was used last, and a sign-in for each.
type Config struct {
	Gateway string           `json:"gateway"`
	Logins  map[string]Login `json:"logins"`

	path string
}

// Login is one sign-in.
type Login struct {
	Bearer  string    `json:"bearer"`
	Name    string    `json:"name"`
	Expires time.Time `json:"expires"`
	CAFile  string    `json:"ca_file,omitempty"`
}

// ConfigPath is where the file lies: sallyport/client.json in the user's configuration directory.
func ConfigPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", errkind.New(errkind.Usage, "there is no place for your sign-in: "+err.Error()).WithHint("Set HOME, or use SALLYPORT_GATEWAY and SALLYPORT_TOKEN.")
	}
	return filepath.Join(dir, "sallyport", "client.json"), nil
}

// LoadConfig reads the file; none is an empty one.
func LoadConfig() (*Config, error) {
	path, err := ConfigPath()
	if err != nil {
		return nil, err
	}
	c := &Config{Logins: map[string]Login{}, path: path}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, c)
	}
	if err != nil {
		return nil, errkind.New(errkind.Usage, fmt.Sprintf("%s cannot be read: %v", path, err)).WithHint("Remove it and sign in again.")
	}
	if c.Logins == nil {
		c.Logins = map[string]Login{}
	}
	return c, nil
}

// Save writes the file by rename, readable by its user only.
func (c *Config) Save() error {
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("keep sign-in: %w", err)
	}
	dir := filepath.Dir(c.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep sign-in: %w", err)
	}
	f, err := os.CreateTemp(dir, "client-*.json") // made with mode 0600
	if err != nil {
		return fmt.Errorf("keep sign-in: %w", err)
	}
	defer os.Remove(f.Name()) // gone already where the rename went well
	_, err = f.Write(raw)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keep sign-in: %w", err)
	}
	if err := os.Rename(f.Name(), c.path); err != nil {
		return fmt.Errorf("keep sign-in: %w", err)
	}
	return nil
}
