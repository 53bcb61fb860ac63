package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/readfile"
	"github.com/sallyport/sallyport/internal/signer"
)

// Finding is one thing that doctor looked at on the gateway's own machine.
type Finding struct {
	What  string `json:"what"`
	State string `json:"state"` // ok; look: not as it should be; weak: a promise that this deployment keeps in part
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

// States of a finding.
const (
	OK   = "ok"
	Look = "look"
	Weak = "weak"
)

// Examine checks a deployment from its configuration, whether or not it runs. It asks running processes instead of
// guessing from files. It changes nothing, except that it creates a file among the recordings and removes it.
func Examine(ctx context.Context, c *config.Config) []Finding {
	e := &examination{c: c}
	e.site = e.ask(ctx)
	e.add("data directory", e.data)
	e.add("clock", e.clock)
	e.add("disk", e.disk)
	e.add("recordings", e.recordings)
	e.add("certificate", func() (string, error) { return e.certificate(ctx) })
	e.add("gateway", e.gateway)
	if e.site.err == nil {
		e.add("agents", e.agents)
	}
	e.add("public address", func() (string, error) { return e.public(ctx) })
	e.add("policy", e.policy)
	e.add("log", e.ledger)
	e.add("readers", e.readers)
	e.add("notifications", e.notifications)
	e.backups()
	e.restored()
	e.identities(ctx)
	return append(e.out, promises(c)...)
}

type examination struct {
	c    *config.Config
	site answer // of the running gateway
	out  []Finding
}

func (e *examination) add(what string, look func() (string, error)) {
	text, err := look()
	f := Finding{What: what, State: OK, Text: text}
	if err != nil {
		f.State, f.Text = Look, err.Error()
		if k, ok := errkind.Of(err); ok {
			f.Text, f.Hint = k.Text, k.Hint
		}
		if errors.As(err, new(weakness)) {
			f.State = Weak
		}
	}
	e.out = append(e.out, f)
}

func odd(text, hint string) error { return errkind.New(errkind.Unavailable, text).WithHint(hint) }

// weakness is an error that makes a finding weak: a promise is kept in part.
type weakness struct{ error }

func (w weakness) Unwrap() error { return w.error }

func partly(text, hint string) error { return weakness{odd(text, hint)} }

func (e *examination) data() (string, error) {
	dir := e.c.Site.DataDir
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return "", odd(err.Error(), "`sallyport serve` makes it at its first start.")
	case info.Mode().Perm()&0o077 != 0:
		return "", odd(fmt.Sprintf("others may read %s (mode %04o)", dir, info.Mode().Perm()), "chmod 0700, and think about who read the keys in it.")
	}
	if _, err := os.Stat(filepath.Join(dir, "DEMO")); err == nil {
		return "", odd(dir+" is a demo's data", "Name another directory.")
	}
	return dir, nil
}

// clock asks the kernel whether something keeps its time right: sign-ins, passes and the log's times rest on it.
func (e *examination) clock() (string, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return "", err
	}
	return clockText(state, t)
}

// clockText words what the kernel says of its clock (adjtimex(2)).
func clockText(state int, t unix.Timex) (string, error) {
	if state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0 {
		return "", odd("nothing keeps this machine's clock right: "+time.Now().UTC().Format("2006-01-02 15:04:05 UTC"), "Run chrony or systemd-timesyncd: sign-ins, passes and the log's times rest on the clock.")
	}
	return "synchronised, " + time.Now().UTC().Format("2006-01-02 15:04:05 UTC"), nil
}

func (e *examination) disk() (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(e.c.Site.DataDir, &st); err != nil {
		return "", err
	}
	free, low := config.Size(int64(st.Bavail)*st.Bsize), e.c.Recording.LowWater
	text := fmt.Sprintf("%s free, new sessions stop below %s", mib(free), low)
	switch {
	case free < low:
		return "", odd(text+": none starts now", "Free space where data_dir lies, or lower [recording] low_water.")
	case free < 2*low:
		return "", odd(text+", which is near", "Free space where data_dir lies before sessions are refused.")
	}
	return text, nil
}

func mib(s config.Size) string {
	if s >= 10<<30 {
		return fmt.Sprintf("%d GiB", s>>30)
	}
	return fmt.Sprintf("%d MiB", s>>20)
}

func (e *examination) policy() (string, error) {
	files, err := PolicyFiles(e.c)
	if err != nil {
		return "", err
	}
	p, err := signer.LoadStoredPolicy(files)
	if err != nil {
		return "", err
	}
	if why := e.site.warned("policy"); why != "" {
		return "", odd(why, "Apply the newest policy again: `sallyport policy apply FILE --reason TEXT`. Until then, rights "+
			"that it withdrew are in force.")
	}
	if why := e.site.warned("stored policy"); why != "" {
		return "", odd(why, "Write "+authz.RunForm+" in its files, and split a role that is too large: `sallyport policy check FILE` "+
			"names each line. Then `sallyport policy apply FILE --reason TEXT`.")
	}
	if ignored := p.Ignored(); len(ignored) > 0 {
		return "", odd(ignored.Error(), "A gateway or signer that has no policy yet does not take these files.")
	}
	return fmt.Sprintf("%d file(s) read well; after the first start the stored policy counts (`sallyport policy status`)", len(files)), nil
}

// ledger compares the log with its copy, as far as this user may read them.
func (e *examination) ledger() (string, error) {
	own, err := checkpointSize(filepath.Join(SignerDir(e.c), "log"))
	if lost := signer.NotLost(SignerDir(e.c), e.c.Ledger.SecondCopy); err != nil && lost != nil {
		return "", lost
	}
	if err != nil {
		return "", odd("the log cannot be read: "+err.Error(), "Run this as root, or as the signer's user; before the first start there is none.")
	}
	if e.c.Ledger.SecondCopy == "" {
		return "", odd(fmt.Sprintf("%d entries, and no second copy", own), "[ledger] second_copy on another disk: then a log that was rolled back, as by a restored backup, cannot go on unnoticed.")
	}
	other, err := checkpointSize(e.c.Ledger.SecondCopy)
	if err != nil {
		return "", odd("the second copy cannot be read: "+err.Error(), "Is its disk mounted?")
	}
	if other+10 < own {
		return "", odd(fmt.Sprintf("the second copy lacks %d of %d entries", own-other, own), "Is its disk full or read-only? The gateway's log says.")
	}
	return fmt.Sprintf("%d entries, the second copy has %d", own, other), nil
}

func checkpointSize(dir string) (int64, error) {
	raw, err := readfile.Regular(filepath.Join(dir, "checkpoint"), readfile.Most)
	if err != nil {
		return 0, err
	}
	n, err := headSize(raw)
	return int64(n), err
}

func (e *examination) readers() (string, error) {
	readers, err := recipientFiles("readers_files", e.c.Recording.ReadersFiles)
	if err != nil {
		return "", err
	}
	unsealers, err := recipientFiles("unsealers_files", e.c.Recording.UnsealersFiles)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%d for recordings, %d for hidden input", len(readers), len(unsealers))
	if len(readers) < 2 {
		return "", odd(text, "Add a second reader whose key is kept offline: with the only one lost, every recording is.")
	}
	return text, nil
}

// identities looks at each provider, and says what must be registered there.
func (e *examination) identities(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for _, i := range e.c.Identity {
		if i.Builtin {
			e.add("identity "+i.Name, func() (string, error) { return e.asGatewaySees(i.Name, e.people) })
			continue
		}
		e.add("identity "+i.Name, func() (string, error) {
			return e.asGatewaySees(i.Name, func() (string, error) { return e.provider(ctx, i) })
		})
	}
	e.withoutRefresh(ctx)
}

// asGatewaySees adds the running gateway's view of a provider: its network access may differ from doctor's.
func (e *examination) asGatewaySees(name string, look func() (string, error)) (string, error) {
	text, err := look()
	if why := e.site.warned("identity " + name); err == nil && why != "" {
		return "", odd("answers here, but not when the gateway last asked: "+why,
			"The gateway asks again within 2 s, as configured when it started: restart it after a change. Otherwise check the "+
				"network access of the gateway's user: firewall, proxy, DNS.")
	}
	return text, err
}

func (e *examination) people() (string, error) {
	dir := UsersDir(e.c)
	if _, err := os.Stat(dir); err != nil {
		return "", odd("its people cannot be read: "+err.Error(), "Run this as root; before the first start there are none.")
	}
	u, err := idp.OpenUsers(dir)
	if err != nil {
		return "", err
	}
	all, err := u.All()
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", odd("built in, and has no users", "sallyport users add NAME --group GROUP --config FILE")
	}
	second := 0
	for _, p := range all {
		if p.TOTP != "" {
			second++
		}
	}
	return fmt.Sprintf("built in, %d people, %d with a second factor", len(all), second), nil
}
