package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/readfile"
)

// mendRules is for whoever cannot get in because of them.
const mendRules = "The owner of the machine mends that file."

// OwnerRules reads the owner's rules. Without a file nothing is allowed.
func (d Dir) OwnerRules() (*authz.Owner, error) {
	raw, err := readfile.Regular(d.Owner, readfile.Most)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errkind.New(errkind.Denied, fmt.Sprintf("the owner's rules are missing (%s), so nothing is allowed", d.Owner)).
			WithHint("Enrol with --preset, or write the file: `format = 1` and `preset = \"ask\"`.")
	}
	if err != nil {
		return nil, errkind.New(errkind.Denied, fmt.Sprintf("the owner's rules in %s cannot be read, so nothing is allowed", d.Owner)).WithHint(mendRules).Because(err)
	}
	rules, problems := authz.LoadOwner(authz.File{Name: d.Owner, Text: raw})
	if len(problems) > 0 {
		return nil, errkind.New(errkind.Denied, "the owner's rules have a mistake, so nothing is allowed: "+problems[0].String()).WithHint(mendRules)
	}
	return rules, nil
}

// SwitchOn reads the owner's switch: a file that exists and does not say 0 or off.
func SwitchOn(rules *authz.Owner) bool {
	if rules.Switch == "" {
		return true
	}
	raw, err := readfile.Regular(rules.Switch, readfile.Most)
	word := strings.ToLower(strings.TrimSpace(string(raw[:min(len(raw), 16)])))
	return err == nil && word != "0" && word != "off"
}

// WriteOwner writes the rules that a machine begins with, unless it has some.
func (d Dir) WriteOwner(preset string) (written bool, err error) {
	if _, err := os.Stat(d.Owner); err == nil {
		return false, nil
	}
	text, err := authz.OwnerFile(preset, zone())
	if err != nil {
		return false, errkind.New(errkind.Usage, err.Error())
	}
	if err := os.MkdirAll(filepath.Dir(d.Owner), 0o755); err != nil {
		return false, fmt.Errorf("owner's rules: %w", err)
	}
	return true, writeDurably(d.Owner, text, 0o644)
}

// zone names the machine's own time zone, as far as it says.
func zone() string {
	target, err := os.Readlink("/etc/localtime")
	if _, name, ok := strings.Cut(target, "zoneinfo/"); err == nil && ok {
		return name
	}
	return "UTC"
}
