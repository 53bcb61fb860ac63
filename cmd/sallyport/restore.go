//go:build cgo && linux

package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/internal/backup"
	"github.com/sallyport/sallyport/internal/config"
)

type restoreCmd struct {
	Config      string   `type:"path" placeholder:"FILE" help:"The gateway's configuration: it names all directories."`
	From        string   `type:"path" placeholder:"DIR" help:"The directory that sallyport backup --to was given."`
	Identity    string   `type:"path" placeholder:"KEY" help:"age identity of one of [backup] recipients."`
	Signer      bool     `help:"Restore the signer, as its user. Without [signer], one call restores both."`
	Set         string   `placeholder:"SET" help:"Name of an older set's directory. Default: the newest set."`
	Fingerprint []string `placeholder:"HEX" sep:"none" help:"Fingerprint that a set must have. One for each archive."`
	Check       bool     `help:"Check the backup and put nothing in place."`
	Log         bool     `help:"Restore only the log, from its second copy, if it is missing or too short."`
	LogFrom     string   `type:"path" placeholder:"DIR" help:"Copy of the log to use instead of [ledger] second_copy."`
	JSON        bool     `name:"json" help:"Print JSON."`

	WithoutDamagedRecordings bool `help:"Restore without damaged or missing recordings."`
}

func (*restoreCmd) Help() string {
	return `Puts a backup into an empty data directory, as the user who owns it. Run as root, it switches to that user. It
checks the manifest and every file first, and puts all files in place or none. Exit status: 0 if everything is in place,
3 if only damaged recordings are missing, and any other if nothing is in place.

--without-damaged-recordings leaves out files of recordings that are damaged or missing in the backup, and lists them.
If any other file is damaged, nothing is restored.

The log is not in a backup: restoring the signer also restores the log from its second copy. It checks every entry, and
refuses a copy that is shorter than the log was at the time of the backup. If the second copy is lost too, --log-from
can name the log directory of the signer's old disk.`
}

// Run restores, or checks.
func (c *restoreCmd) Run(a *app) error {
	if c.Check && c.From != "" {
		return checkBackup(a, c.From, wanted{c.Identity, c.Set, c.Fingerprint}, c.JSON)
	}
	if c.Config == "" || c.From == "" && !c.Log {
		return usageError("restore needs --config FILE and --from DIR, or --log",
			"Run `sallyport restore --help` for the options.")
	}
	cfg, err := loadConfig(c.Config, func(*config.Config) error { return nil })
	if err != nil {
		return err
	}
	target := backup.Target{Config: cfg, LogFrom: c.LogFrom, WithoutDamaged: c.WithoutDamagedRecordings}
	kinds, dir := archives(cfg, c.Signer || c.Log)
	ids, err := identities(c.Identity) // before switching to a user who may not read them
	if err != nil {
		return err
	}
	if err := becomeOwner(dir); err != nil {
		return err
	}
	if c.Log {
		return c.logBack(a, target)
	}
	if len(ids) == 0 {
		return usageError("a backup is sealed, and --identity is missing",
			"Give the private half of a key that [backup] recipients named.")
	}
	sets, err := c.open(kinds)
	defer closeAll(sets)
	if err != nil {
		return inWords(err)
	}
	out, err := target.Restore(a.context(), ids, a.progress("restore"), sets...)
	if err != nil {
		return inWords(err)
	}
	return c.tell(a, cfg, out)
}

func (c *restoreCmd) open(kinds []backup.Kind) (all []*backup.Set, err error) {
	for _, k := range kinds {
		set := c.Set
		if len(kinds) > 1 && k == backup.Signer { // one call made the sets one after the other
			set = ""
		}
		s, err := backup.Open(c.From, k, set)
		if err != nil {
			return all, err
		}
		all = append(all, s)
		if err := hasFingerprint(c.From, s, c.Fingerprint); err != nil {
			return all, err
		}
	}
	return all, nil
}

// notWhole is the exit status of a restore that left damaged recordings out: everything else is in place.
const notWhole = exitStatus(3)

func (c *restoreCmd) tell(a *app, cfg *config.Config, out []backup.Restored) error {
	var status error
	if slices.ContainsFunc(out, func(r backup.Restored) bool { return len(r.LeftOut) > 0 }) {
		status = notWhole
	}
	if c.JSON {
		return errors.Join(a.json(out), status)
	}
	for _, r := range out {
		fmt.Fprintf(a.stdout, "%s: set %s of %s is in %s, %s\n", r.Kind, r.Set, r.Made.Format(time.RFC3339), r.Dir,
			count(r.Files, "file"))
		if r.Log > 0 {
			fmt.Fprintf(a.stdout, "log: %d entries from %s; it had %d when the backup was made\n", r.Log,
				r.LogFrom, r.LogSize)
		}
		for _, p := range r.LeftOut {
			fmt.Fprintf(a.stdout, "LEFT OUT %s: %s\n", safe(p.Path), safe(p.Text))
		}
	}
	fmt.Fprint(a.stdout, nextSteps(cfg, out))
	if status != nil {
		fmt.Fprintln(a.stderr, "sallyport: the restore is incomplete: the files listed as LEFT OUT are missing")
	}
	return status
}

// nextSteps says what the next start will do.
func nextSteps(cfg *config.Config, out []backup.Restored) string {
	text := ""
	if cfg.Signer.Socket != "" {
		if out[0].Kind == backup.Gateway {
			text = "Next: restore the signer too if it was lost (`sallyport restore --signer`), then start " +
				"sallyport-signer and sallyport.\n"
		} else {
			text = "Next: restore the gateway too if it was lost (`sallyport restore`), then start " +
				"sallyport-signer and sallyport.\n"
		}
	} else {
		text = "Next: start sallyport.\n"
	}
	return text + `The start compares the log with the backup, its second copy and the database.
It fails if one of them is newer.
Devices, API tokens and join codes that were revoked or locked after the backup are revoked or locked again from the
log.
Before you let people sign in, repeat the other changes that were made after the backup: users of the built-in provider
who were removed or disabled, their new passwords and second factors, and new versions of the policy.
Devices reconnect by themselves. People sign in again.
` + "`sallyport doctor --config FILE`" + ` lists sessions that only the log has, and devices to enrol again.
`
}

func (c *restoreCmd) logBack(a *app, target backup.Target) error {
	back, err := target.RestoreLog()
	if err != nil {
		return inWords(err)
	}
	if c.JSON {
		return a.json(back)
	}
	fmt.Fprintf(a.stdout, "log: %d entries from %s are in %s\n", back.Size, back.From, back.Dir)
	if back.Aside != "" {
		fmt.Fprintf(a.stdout, "the log that was there is in %s\n", back.Aside)
	}
	fmt.Fprintln(a.stdout, "Next: start sallyport-signer, or sallyport if it has no separate signer.")
	return nil
}
