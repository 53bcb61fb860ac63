package main

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

type doctorCmd struct {
	Config string `type:"path" placeholder:"FILE" help:"On the gateway's own machine: look at the deployment of this configuration instead."`
	JSON   bool   `name:"json" help:"Print a JSON array, for programs."`
}

func (*doctorCmd) Help() string {
	return `Takes the steps of every other command: configuration, address, network, certificate, clock, sign-in,
WebSocket, rights. It stops at the first fault and says what to do.

With --config it checks the gateway itself, as root or as its user: clock, disk, recordings, certificate, log,
providers, and which of the product's promises this deployment keeps. It asks the running gateway what it serves and
compares that with the files. LOOK marks a fault, and weak a promise that is kept only in part.`
}

// finding is one thing that was looked at.
type finding struct {
	What  string `json:"what"`
	State string `json:"state"` // ok, look or weak
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

var stateWords = map[string]string{"ok": "ok", "look": "LOOK", "weak": "weak"}

// step is one thing to look at.
type step struct {
	what string
	look func() (string, error)
}

func (c *doctorCmd) Run(a *app) error {
	if c.Config != "" {
		all, err := examine(a, c.Config)
		if err != nil {
			return err
		}
		return c.tell(a, all)
	}
	var cl *client.Client
	var me apitype.Me
	steps := []step{
		{"configuration", func() (string, error) { return configFile() }},
		{"sign-in", func() (found string, err error) {
			cl, err = a.client()
			return "by " + signedInBy(), err
		}},
		{"gateway", func() (string, error) { return reach(a, cl) }},
		{"who you are", func() (string, error) {
			err := cl.Get(a.context(), "/api/v1/me", nil, &me)
			return fmt.Sprintf("%s, by %s until %s", me.Name, me.Via, at(&me.Expires)), err
		}},
		{"terminal", func() (string, error) { return "WebSockets reach the gateway", cl.TryTerminal(a.context()) }},
		{"devices", func() (string, error) { return visibleDevices(a, cl) }},
	}
	var all []finding
	for _, s := range steps {
		text, err := s.look()
		if err != nil {
			text, hint, _ := errkind.ForPeople(err)
			all = append(all, finding{s.what, "look", text, hint})
			break
		}
		all = append(all, finding{s.what, "ok", text, ""})
	}
	return c.tell(a, all)
}

// tell prints what was found. Something to look at is a failure; a promise kept in part is not.
func (c *doctorCmd) tell(a *app, all []finding) error {
	bad := 0
	for _, f := range all {
		if f.State == "look" {
			bad++
		}
	}
	if c.JSON {
		if err := a.json(all); err != nil {
			return err
		}
	} else {
		for _, f := range all {
			fmt.Fprintf(a.stdout, "%-4s  %s: %s\n", stateWords[f.State], safe(f.What), safe(f.Text))
			if f.Hint != "" {
				fmt.Fprintf(a.stdout, "      %s\n", safe(f.Hint))
			}
		}
	}
	if bad > 0 {
		return errkind.New(errkind.Unavailable, fmt.Sprintf("%d of %d are not as they should be", bad, len(all))).WithHint("Begin with the first line marked LOOK.")
	}
	return nil
}

func configFile() (string, error) {
	path, err := client.ConfigPath()
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "none yet (" + path + ")", nil
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return "", errkind.New(errkind.Usage, fmt.Sprintf("%s can be read by others (mode %o)", path, info.Mode().Perm())).
			WithHint("chmod 600 " + path + ", then sign in again: a person who has read it can act as you.")
	}
	_, err = client.LoadConfig()
	return path, err
}

// slack is how far our clock may differ before it matters.
const slack = time.Minute

// reach checks that the address answers, and compares clocks.
func reach(a *app, cl *client.Client) (string, error) {
	began := time.Now()
	var s apitype.SignIn
	when, err := cl.Clock(a.context(), &s)
	if err != nil {
		return "", err
	}
	took := time.Since(began)
	if skew := began.Add(took / 2).Sub(when); !when.IsZero() && (skew > slack || skew < -slack) {
		return "", errkind.New(errkind.Unavailable, fmt.Sprintf("this machine's clock is %s off the gateway's", skew.Round(time.Second))).
			WithHint("Set the clock: certificates and sign-ins depend on it.")
	}
	return fmt.Sprintf("%s (%s) answers in %s", cl.Gateway(), s.SiteName, took.Round(time.Millisecond)), nil
}

func visibleDevices(a *app, cl *client.Client) (string, error) {
	var work apitype.MyWork
	if err := cl.Get(a.context(), "/api/v1/work", nil, &work); err != nil {
		return "", err
	}
	now := 0
	for _, w := range work.Devices {
		if len(w.CanOpen) > 0 && w.Refused == "" {
			now++
		}
	}
	return fmt.Sprintf("you can reach %d, of which %d now", len(work.Devices), now), nil
}
