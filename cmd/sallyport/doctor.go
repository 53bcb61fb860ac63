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

type doctorCmd struct{}

func (*doctorCmd) Help() string {
	return `Goes the way of every other command step by step: configuration, address, network, certificate, clock, sign-in, rights. It stops at
the first thing that is wrong and says what to do.`
}

// finding is one step: what was looked at, and what was found.
type finding struct {
	what string
	look func() (string, error)
}

func (c *doctorCmd) Run(a *app) error {
	var cl *client.Client
	var me apitype.Me
	steps := []finding{
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
		{"devices", func() (string, error) { return visibleDevices(a, cl) }},
	}
	for _, s := range steps {
		found, err := s.look()
		if err != nil {
			fmt.Fprintf(a.stdout, "BAD  %s\n", s.what)
			return err
		}
		fmt.Fprintf(a.stdout, "ok   %s: %s\n", s.what, safe(found))
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
			WithHint("chmod 600 " + path + ", then sign in again: whoever read it can act as you.")
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
