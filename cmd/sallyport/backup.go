//go:build cgo && linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
	"golang.org/x/term"

	"github.com/sallyport/sallyport/internal/backup"
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
)

type backupCmd struct {
	Config   string `type:"path" placeholder:"FILE" help:"The gateway's configuration."`
	To       string `type:"path" placeholder:"DIR" help:"Directory on another disk."`
	Signer   bool   `help:"Back up the signer, as its user. Without [signer], one call makes both archives."`
	Keep     int    `default:"14" placeholder:"N" help:"Complete sets to keep; all share the recordings. Default 14."`
	Check    string `type:"path" placeholder:"DIR" help:"Only compare the newest sets in DIR with their manifests."`
	Identity string `type:"path" placeholder:"KEY" help:"With --check: age identity that opens the sealed files."`
	JSON     bool   `name:"json" help:"Print a JSON array, one object for each archive."`
}

func (*backupCmd) Help() string {
	return `Runs while the gateway runs, as the user who owns the files. Run as root, it switches to that user. The
gateway's archive goes to DIR/gateway, the signer's to DIR/signer.

Only the keys of [backup] recipients open the sealed files. A set gets its name once it is complete and was read
back. The log is never in a backup: it is restored from [ledger] second_copy.

docs/backup.md explains both archives and what to do after a loss.`
}

// Run makes the archives, or checks those that are there.
func (c *backupCmd) Run(a *app) error {
	if c.Check != "" {
		return checkBackup(a, c.Check, wanted{identity: c.Identity}, c.JSON)
	}
	if c.Config == "" || c.To == "" {
		return usageError("backup needs --config FILE and --to DIR, or --check DIR",
			"Run `sallyport backup --help` for the options.")
	}
	if c.Keep < 1 {
		return usageError("--keep must be at least 1", "The new set is one of those that are kept.")
	}
	cfg, err := loadConfig(c.Config, func(*config.Config) error { return nil })
	if err != nil {
		return err
	}
	kinds, dir := archives(cfg, c.Signer)
	if err := becomeOwner(dir); err != nil {
		return err
	}
	var all []*backup.Result
	for _, k := range kinds {
		var r *backup.Result
		r, err = backup.Make(a.context(), cfg, k,
			backup.Options{To: c.To, Keep: c.Keep, Progress: a.progress(string(k))})
		if r != nil {
			all = append(all, r)
		}
		if err != nil {
			break
		}
	}
	if len(all) > 0 { // a set that is complete is named, whatever failed after it
		if told := c.tell(a, all); err == nil {
			err = told
		}
	}
	return inWords(err)
}

// archives gives the archives of a call, and the directory whose owner the call must run as.
func archives(cfg *config.Config, signer bool) ([]backup.Kind, string) {
	switch {
	case cfg.Signer.Socket == "":
		return []backup.Kind{backup.Gateway, backup.Signer}, cfg.Site.DataDir
	case signer:
		return []backup.Kind{backup.Signer}, cfg.Signer.Dir
	}
	return []backup.Kind{backup.Gateway}, cfg.Site.DataDir
}

func (c *backupCmd) tell(a *app, all []*backup.Result) error {
	if c.JSON {
		return a.json(all)
	}
	for _, r := range all {
		fmt.Fprintf(a.stdout, "%s: %s, %s", r.Kind, filepath.Join(r.Dir, "sets", r.Set), count(r.Files, "file"))
		if r.Kind == backup.Gateway {
			fmt.Fprintf(a.stdout, "; %d files of recordings copied (%d bytes, %d of running recordings), %d kept",
				r.Copied, r.Bytes, r.Running, r.Kept)
		}
		fmt.Fprintf(a.stdout, "; log size %d\n  fingerprint %s\n", r.LogSize, r.Fingerprint)
		if len(r.Unnamed) > 0 {
			fmt.Fprintf(a.stderr, "sallyport: not in the backup, because no rule names them: %s\n",
				safe(strings.Join(r.Unnamed, ", ")))
		}
	}
	return nil
}

// progress shows the progress of a backup or restore, only on a terminal.
func (a *app) progress(what string) backup.Progress {
	out, ok := a.stderr.(*os.File)
	if !ok || !term.IsTerminal(int(out.Fd())) {
		return nil
	}
	return func(doing string, n, of int) {
		text := what + ": " + doing
		if of > 0 {
			text += fmt.Sprintf(" %d of %d", n, of)
		}
		end := ""
		if of > 0 && n == of {
			end = "\n"
		}
		fmt.Fprintf(out, "\r\x1b[K%s%s", text, end)
	}
}

// checkedSet is the result of checking an archive.
type checkedSet struct {
	Kind        backup.Kind      `json:"kind"`
	Set         string           `json:"set"`
	Fingerprint string           `json:"fingerprint"`
	Files       int              `json:"files"`
	LogSize     uint64           `json:"log_size"`
	Opened      bool             `json:"opened"` // the sealed files were opened
	Problems    []backup.Problem `json:"problems"`
}

// wanted says which sets are checked and how.
type wanted struct {
	identity, set string
	fingerprints  []string
}

// checkBackup compares the archives in dir with their manifests.
func checkBackup(a *app, dir string, w wanted, asJSON bool) error {
	ids, err := identities(w.identity)
	if err != nil {
		return err
	}
	sets, err := openAll(dir, w.set)
	defer closeAll(sets)
	for i := 0; err == nil && i < len(sets); i++ {
		err = hasFingerprint(dir, sets[i], w.fingerprints)
	}
	if err != nil {
		return inWords(err)
	}
	var all []checkedSet
	for _, s := range sets {
		found, err := s.Check(a.context(), ids, a.progress(string(s.Manifest.Kind)))
		if err != nil {
			return inWords(err)
		}
		all = append(all, checkedSet{s.Manifest.Kind, s.Name(), s.Fingerprint, len(s.Manifest.Files), s.Checkpoint.Size,
			len(ids) > 0, append([]backup.Problem{}, found...)})
	}
	return tellChecked(a, all, asJSON)
}

// openAll opens the named set, or the newest, of each archive that dir has.
func openAll(dir, set string) (all []*backup.Set, err error) {
	for _, k := range []backup.Kind{backup.Gateway, backup.Signer} {
		s, err := backup.Open(dir, k, set)
		if err != nil && errkind.KindOf(err) == errkind.NotFound {
			continue
		}
		if err != nil {
			return all, err
		}
		all = append(all, s)
	}
	switch {
	case len(all) > 0:
		return all, nil
	case set != "":
		return nil, errkind.New(errkind.NotFound, fmt.Sprintf("there is no complete set %.100q in %s", set, dir)).
			WithHint("Each directory in DIR/gateway/sets and DIR/signer/sets is a set, unless its name ends in .part.")
	}
	return nil, errkind.New(errkind.NotFound, "there is no complete backup in "+dir).
		WithHint("Name the directory that `sallyport backup --to` was given.")
}

func closeAll(sets []*backup.Set) {
	for _, s := range sets {
		s.Close()
	}
}

// hasFingerprint refuses a set whose fingerprint is not among those that were given, if any was. The fingerprint of the
// gateway's set says nothing about the signer's.
func hasFingerprint(dir string, s *backup.Set, given []string) error {
	if len(given) == 0 || slices.Contains(given, s.Fingerprint) {
		return nil
	}
	return errkind.New(errkind.Conflict,
		fmt.Sprintf("the set of the %s in %s has the fingerprint %s, which was not given",
			s.Manifest.Kind, dir, s.Fingerprint)).
		WithHint("Give the fingerprint of each archive. Try other sets with --set. " +
			"If none has it, the backup was changed.")
}

func tellChecked(a *app, all []checkedSet, asJSON bool) error {
	bad := 0
	for _, s := range all {
		bad += len(s.Problems)
	}
	var err error
	if asJSON {
		err = a.json(all)
	}
	for _, s := range all {
		if asJSON {
			break
		}
		fmt.Fprintf(a.stdout, "%s: set %s, %s, log size %d\n  fingerprint %s\n", s.Kind, s.Set, count(s.Files, "file"),
			s.LogSize, s.Fingerprint)
		for _, p := range s.Problems {
			fmt.Fprintf(a.stdout, "  DAMAGED %s: %s\n", safe(p.Path), safe(p.Text))
		}
		switch {
		case len(s.Problems) > 0:
		case s.Opened:
			fmt.Fprintln(a.stdout, "  every file is unchanged, and the sealed files open")
		default:
			fmt.Fprintln(a.stdout,
				"  every file is unchanged; sealed files were not opened (give --identity to open them)")
		}
	}
	if bad > 0 {
		return errors.Join(err, exitStatus(1))
	}
	return err
}

func identities(path string) ([]age.Identity, error) {
	if path == "" {
		return nil, nil
	}
	return backup.ReadIdentities(path)
}
