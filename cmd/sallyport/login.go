package main

import (
	"cmp"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

type loginCmd struct {
	Provider  string `placeholder:"NAME" help:"Sign in with this identity provider, where there are several."`
	Device    bool   `help:"Sign in with a browser on another machine: type a short code there."`
	Again     bool   `help:"Sign in anew at the provider, even if the browser is still signed in. The provider decides whether it asks for your second factor. Not with --device."`
	NoBrowser bool   `help:"Print the address instead of opening a browser."`
}

func (*loginCmd) Help() string {
	return `Opens a browser at the gateway, where you sign in as usual and confirm that this command line may act for you. The sign-in is
kept in your configuration directory, readable by you alone, and is good for this gateway only.`
}

func (c *loginCmd) Run(a *app) error {
	cfg, err := client.LoadConfig()
	if err != nil {
		return err
	}
	if a.commands.Gateway == "" {
		a.commands.Gateway = cfg.Gateway
	}
	ca := cmp.Or(a.commands.CA, cfg.Logins[a.commands.Gateway].CAFile)
	cl, err := connect(client.Options{Gateway: a.commands.Gateway, CAFile: ca})
	if err != nil {
		return err
	}
	if c.Again && c.Device {
		return usageError("--again and --device exclude each other", "Sign out in the browser, then use `sallyport login --device`.")
	}
	if c.Provider != "" {
		if err := cl.CheckProvider(a.context(), c.Provider); err != nil {
			return err
		}
	}
	token, err := c.signIn(a, cl)
	if err != nil {
		return err
	}
	cfg.Gateway = cl.Gateway()
	cfg.Logins[cl.Gateway()] = client.Login{Bearer: token.Bearer, Name: token.Name, Expires: token.Expires, CAFile: ca}
	if err := cfg.Save(); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "Signed in to %s as %s until %s.\n", cl.Gateway(), safe(token.Name), at(&token.Expires))
	return nil
}

func (c *loginCmd) signIn(a *app, cl *client.Client) (apitype.CLIToken, error) {
	if c.Device {
		return cl.SignInByCode(a.context(), func(d apitype.DeviceStart) {
			fmt.Fprintf(a.stderr, "Open  %s\nand type  %s\n(good for %s)\n", safe(d.Verify), safe(d.UserCode), time.Duration(d.ExpiresIn)*time.Second)
		})
	}
	return cl.SignIn(a.context(), c.Provider, c.Again, func(address string) {
		if c.NoBrowser || browse(address) != nil {
			fmt.Fprintf(a.stderr, "Open this address in a browser on this machine:\n\n  %s\n\n", address)
			return
		}
		fmt.Fprintf(a.stderr, "Go on in your browser. If none has opened:\n\n  %s\n\n", address)
	})
}

// person signs out somebody else.
func (c *logoutCmd) person(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var out apitype.PersonSignedOut
	in := apitype.PersonSignOut{User: *c.User, Reason: *c.Reason}
	if err := cl.Post(a.context(), "/api/v1/people/sign-out", in, &out); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "Ended %s of %s (%s).\n", count(out.Ended, "sign-in"), safe(out.Name), safe(out.Subject))
	return nil
}

// browse opens the system's browser.
func browse(address string) error {
	name, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

type logoutCmd struct {
	User   *string `and:"person" placeholder:"NAME" help:"Sign out this person everywhere. Administrators only, and with --reason."`
	Reason *string `and:"person" placeholder:"TEXT" help:"Why the person is signed out, for the log."`
}

func (c *logoutCmd) Run(a *app) error {
	if c.User != nil { // an empty name is refused: it must not end the administrator's own sign-in
		return c.person(a)
	}
	cfg, err := client.LoadConfig()
	if err != nil {
		return err
	}
	if a.commands.Gateway == "" {
		a.commands.Gateway = cfg.Gateway
	}
	u, err := client.ParseGateway(a.commands.Gateway)
	if err != nil {
		return err
	}
	login, ok := cfg.Logins[u.String()]
	if !ok {
		fmt.Fprintln(a.stderr, "You are not signed in to "+u.String()+".")
		return nil
	}
	cl, err := connect(client.Options{Gateway: u.String(), Bearer: login.Bearer, CAFile: login.CAFile})
	if err != nil {
		return err
	}
	left := cl.SignOut(a.context())
	delete(cfg.Logins, u.String())
	if err := cfg.Save(); err != nil {
		return err
	}
	if left != nil && errkind.KindOf(left) != errkind.Signin { // signed out there already
		return errkind.New(errkind.Unavailable, "the sign-in was removed here, but the gateway did not answer: "+left.Error()).
			WithHint("It ends there by itself; an administrator can end it at once.")
	}
	fmt.Fprintln(a.stderr, "Signed out of "+u.String()+".")
	return nil
}

type whoamiCmd struct {
	JSON bool `name:"json" help:"Print JSON, for programs."`
}

func (c *whoamiCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var me apitype.Me
	if err := cl.Get(a.context(), "/api/v1/me", nil, &me); err != nil {
		return err
	}
	if c.JSON {
		return a.json(me)
	}
	return page(a.stdout, []field{{"name", me.Name}, {"subject", me.Subject}, {"issuer", me.Issuer}, {"groups", strings.Join(me.Groups, ", ")},
		{"roles", strings.Join(me.Roles, ", ")}, {"duties", strings.Join(me.Duties, ", ")}, {"by", me.Via}, {"second factor", at(me.SecondFactorAt)},
		{"until", until(me)}, {"gateway", cl.Gateway()}})
}

// until says when a sign-in ends, and why it is short.
func until(me apitype.Me) string {
	if me.NoRefresh {
		return at(&me.Expires) + " (short: " + me.Provider + " gave no refresh token)"
	}
	return at(&me.Expires)
}

// signedInBy says how this command line shows who it is, for doctor.
func signedInBy() string {
	if token, err := tokenOfEnvironment(); token != "" || err != nil {
		return tokenVariable
	}
	return "sallyport login"
}
