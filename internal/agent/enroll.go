package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/agent/dial"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/reach"
	"github.com/sallyport/sallyport/internal/readfile"
	"github.com/sallyport/sallyport/internal/wire"
)

// Joining is one use of a join code.
type Joining struct {
	Code   string
	Preset string // empty: ask, or what the file says already
	Serial string // of the machine
	Wait   bool   // for the administrator
	Out    io.Writer
}

// Enroll makes this machine known to the gateway of a join code, and prints each step. Everything may be done again:
// the keys stay, and the gateway gives the same answer to the same keys.
func Enroll(ctx context.Context, cfg Config, j Joining) error {
	if err := j.check(); err != nil {
		return err
	}
	code, err := wire.ParseJoinCode(j.Code)
	if err != nil {
		return errkind.New(errkind.Usage, err.Error())
	}
	host, err := code.Host()
	if err != nil {
		return errkind.New(errkind.Usage, err.Error())
	}
	if _, err := cfg.ProxyInForce(host); errkind.KindOf(err) == errkind.Usage {
		return err
	}
	e := &enrolment{cfg: cfg, j: j, code: code, host: host}
	for _, step := range []func(context.Context) error{e.prepare, e.tellProxy, e.redeem, e.settle, e.wait} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// check refuses what could not be carried out, before anything is made.
func (j Joining) check() error {
	if strings.TrimSpace(j.Code) == "" {
		return errkind.New(errkind.Usage, "the join code is missing").
			WithHint("Write `sallyport-agent enroll sp1-…`: an administrator gets the code by `sallyport enroll-token create`, or in the browser by Machines, New join code.")
	}
	if j.Preset != "" && !slices.Contains(authz.Presets, j.Preset) {
		return errkind.New(errkind.Usage, fmt.Sprintf("%.40q is not a preset of the owner's rules", j.Preset)).
			WithHint("The presets are " + strings.Join(authz.Presets, ", ") + ".")
	}
	return nil
}

type enrolment struct {
	cfg   Config
	j     Joining
	code  wire.JoinCode
	host  string
	keys  state.Keys
	proxy Proxy
	reply wire.HelloReply
	lock  *os.File
}

func (e *enrolment) say(what, format string, args ...any) {
	fmt.Fprintf(e.j.Out, "%-16s %s\n", what, fmt.Sprintf(format, args...))
}

// prepare makes the state directory and the keys before anything is asked of the gateway.
func (e *enrolment) prepare(context.Context) error {
	d := e.cfg.State
	if err := d.Prepare(e.cfg.Ephemeral); err != nil {
		return err
	}
	var err error
	if e.lock, err = d.Lock(); err != nil {
		return err
	}
	if dev, err := d.Device(); err == nil && dev.URL != e.code.URL {
		return errkind.New(errkind.Conflict, fmt.Sprintf("this device is enrolled at %s already", dev.URL)).
			WithHint("Remove the state directory to enrol it elsewhere, or name another one with --state.")
	}
	e.say("state directory", "%s%s", d.Path, map[bool]string{true: "  (does not outlive a restart: --ephemeral)"}[d.Volatile() != ""])
	if e.keys, err = d.MakeKeys(); err != nil {
		return err
	}
	e.say("own key", "%s", fingerprint(e.keys))
	if e.cfg.CA != "" {
		raw, err := readfile.Regular(e.cfg.CA, readfile.Most)
		if err != nil {
			return errkind.New(errkind.Usage, fmt.Sprintf("the file %s of --ca cannot be read", e.cfg.CA)).WithHint("It takes a certificate in PEM form.").Because(err)
		}
		if err := d.Write("ca.pem", raw); err != nil {
			return err
		}
	}
	return e.rules()
}

func (e *enrolment) rules() error {
	preset := e.j.Preset
	if preset == "" {
		preset = "ask"
	}
	written, err := e.cfg.State.WriteOwner(preset)
	if err != nil {
		return err
	}
	rules, err := e.cfg.State.OwnerRules()
	if err != nil {
		return err
	}
	if !written && e.j.Preset != "" && rules.Preset != e.j.Preset {
		return errkind.New(errkind.Conflict, fmt.Sprintf("%s is there and says preset %q", e.cfg.State.Owner, rules.Preset)).
			WithHint("The owner's rules are never overwritten: edit the file, or leave --preset out.")
	}
	e.say("owner's rules", "%s  (preset %s)", e.cfg.State.Owner, rules.Preset)
	return nil
}

// tellProxy prints the proxy in use, and that the service does not get a proxy from this environment.
func (e *enrolment) tellProxy(context.Context) error {
	var err error
	if e.proxy, err = e.cfg.ProxyInForce(e.host); err != nil || e.proxy.URL == "" {
		return err
	}
	e.say("proxy", "%s", e.proxy)
	if !e.keepsProxy() {
		e.say("", "not kept: the service needs it too, in its environment or by `sallyport-agent proxy set`")
	}
	return nil
}

// keepsProxy reports whether the command named a proxy, which is then kept for the device.
func (e *enrolment) keepsProxy() bool { return e.cfg.Proxy != "" || e.cfg.ProxyFile != "" }

// redeem shows the code to whoever holds the pinned gateway key, and to nobody else.
func (e *enrolment) redeem(ctx context.Context) error {
	proxy, err := e.cfg.proxy() // the dialler reads the environment itself
	if err != nil {
		return err
	}
	d := dial.Dialer{CA: e.cfg.State.CA(), Proxy: proxy.URL}
	ws, err := d.Dial(ctx, e.host, wire.ControlPath, wire.ControlSubprotocol, wire.MaxControl, nil)
	if err != nil {
		return err
	}
	defer ws.Close()
	e.say("reach", "%s", e.host)
	proof, err := wire.Sign(e.keys.Host, wire.PurposeEnrol, wire.EnrolProof(e.keys.Noise.Public[:], e.code.ID[:], e.code.Secret[:]))
	if err != nil {
		return fmt.Errorf("prove host key: %w", err)
	}
	nonce := make([]byte, 16)
	copy(nonce, proof[len(proof)-16:]) // any: the status of this answer is not used
	name, _ := os.Hostname()
	hello, err := json.Marshal(wire.Hello{V: []int{wire.ControlVersion}, Device: e.keys.FP(), TLS: ws.Exporter(), Boot: boot(), Agent: Version(), Nonce: nonce,
		Enrol: &wire.EnrolPart{ID: e.code.ID[:], Secret: e.code.Secret[:], HostKey: wire.PublicKey{PublicKey: e.keys.Host.PublicKey()},
			Name: name, Serial: serial(e.j.Serial), OS: osName(), Proof: proof}})
	if err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	_, raw, err := wire.Initiate(ctx, ws, e.keys.Noise, e.code.Noise, hello)
	if code := wire.CloseCode(err); err != nil && reach.Interrupted(code, err) {
		return reach.Broken(e.host, code, err)
	}
	if err != nil {
		return errkind.New(errkind.Unavailable, fmt.Sprintf("%s did not prove that it is the gateway of the join code", e.host)).
			WithHint("Something else answers at that address, the gateway is of an earlier release than this agent, or it was " +
				"set up anew: update the gateway, or ask for a new join code.").Because(err)
	}
	e.say("gateway key", "as in the join code")
	if err := wire.LooseJSON(raw, &e.reply); err != nil {
		return fmt.Errorf("answer of the gateway: %w", err)
	}
	if e.reply.Error != "" {
		return errkind.New(errkind.Denied, printable(e.reply.Error))
	}
	return checkVersion(e.host, e.reply.V)
}

// settle stores what is trusted from now on: exactly the bundle that the code names.
func (e *enrolment) settle(context.Context) error {
	if e.reply.Bundle == nil || wire.Sum(e.reply.Bundle.Body) != e.code.Bundle {
		return errkind.New(errkind.Denied, "the gateway gave another trust bundle than the join code names").WithHint("Ask for a new join code.")
	}
	b, err := wire.ParseBundle(*e.reply.Bundle)
	if err != nil {
		return err
	}
	d := e.cfg.State
	if old, err := d.Bundle(); err == nil && old.Serial >= b.Serial {
		e.say("trust bundle", "serial %d, held already", old.Serial)
	} else {
		if err := d.WriteJSON("bundle.json", e.reply.Bundle); err != nil {
			return err
		}
		e.say("trust bundle", "serial %d, log %s", b.Serial, b.Log.Origin)
	}
	if e.keepsProxy() {
		if err := d.KeepProxy(e.proxy.URL); err != nil {
			return err
		}
	}
	if err := d.WriteJSON("device.json", state.Device{Name: e.reply.Name, URL: e.code.URL}); err != nil {
		return err
	}
	e.say("name", "%s", e.reply.Name)
	return e.lock.Close()
}

// wait holds an ordinary line until the gateway says ok. The administrator compares the fingerprint.
func (e *enrolment) wait(ctx context.Context) error {
	if !e.j.Wait {
		e.say("clock", "%s here; compared with the gateway's once the agent is online", state.Wall().UTC().Format("2006-01-02 15:04:05 UTC"))
		e.say("next", "an administrator runs `sallyport devices admit %s`", e.reply.Name)
		return nil
	}
	a, unlock, err := open(e.cfg)
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { a.reconnect(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	said, told := false, false
	for n := 0; ; n++ {
		o := a.online()
		if !told && !o.Time.IsZero() {
			told = true
			e.say("clock", "%s", clockText(o.Skew))
		}
		switch o.State {
		case wire.StateOK:
			e.say("online", "admitted; now start the agent: `systemctl enable --now sallyport-agent`, or `sallyport-agent run`")
			return nil
		case wire.StateWaiting:
			if !said {
				e.say("waiting", "to be admitted: `sallyport devices admit %s`, key %s", e.reply.Name, fingerprint(e.keys))
				said = true
			}
			if n%10 == 0 {
				a.answer(state.Ask{Op: "changed"}) // ask again
			}
		case wire.StateLocked, wire.StateRevoked:
			return errkind.New(errkind.Denied, "the gateway has "+o.State+" this machine").WithHint("An administrator can say why.")
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return errkind.New(errkind.Unavailable, "stopped while waiting to be admitted").
				WithHint("Nothing is lost: once admitted, `sallyport-agent run` goes online.")
		}
	}
}

// serial reads the machine's own number where its firmware tells one.
func serial(given string) string {
	if given != "" {
		return given
	}
	for _, path := range []string{"/sys/class/dmi/id/product_serial", "/proc/device-tree/serial-number"} {
		raw, err := os.ReadFile(path)
		text := strings.TrimSpace(strings.Trim(string(raw), "\x00\n"))
		if err == nil && text != "" && wire.PlainText(text, 100) {
			return text
		}
	}
	return ""
}

func osName() string {
	raw, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "linux"
	}
	for line := range strings.Lines(string(raw)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			if v = strings.Trim(v, `"'`); wire.PlainText(v, 100) {
				return v
			}
		}
	}
	return "linux"
}

func printable(s string) string {
	if wire.PlainText(s, 2000) {
		return s
	}
	return "the gateway refused the join code"
}
