//go:build cgo && linux

package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/node"
)

type usersCmd struct {
	Add    usersAddCmd    `cmd:"" help:"Add a user with a password and groups."`
	List   usersListCmd   `cmd:"" aliases:"ls" help:"List all users."`
	Remove usersRemoveCmd `cmd:"" aliases:"rm" help:"Remove a user. Everything that they have open ends within seconds."`
	Passwd usersPasswdCmd `cmd:"" help:"Set a new password for a user. Sign-ins made with the old one end."`
	TOTP   usersTOTPCmd   `cmd:"" name:"totp" help:"Set a second factor for a user, and print its address for an authenticator."`
}

func (*usersCmd) Help() string {
	return `Users of the built-in provider ([[identity]] builtin = true). Run the command on the gateway's machine, as
root or as the user who owns the files. The gateway need not run. To add the first administrator of a new gateway:

  sallyport users add ada --group administrators --config /etc/sallyport/gateway.toml`
}

// userFile is the option that names the configuration with the built-in provider.
type userFile struct {
	Config string `required:"" type:"path" placeholder:"FILE" help:"The gateway's configuration."`
}

// people are the users of a gateway's built-in provider.
type people struct {
	*idp.Users
	site   string
	groups map[string]string // that the configuration maps
}

// open opens the users of the provider. As root it first becomes the user who owns the files, because the provider
// could not read files that root makes. The error says that configuration or files cannot be read.
func (f userFile) open() (*people, error) {
	cfg, err := loadConfig(f.Config, func(*config.Config) error { return nil })
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(cfg.Identity, func(p config.Identity) bool { return p.Builtin })
	if i < 0 {
		return nil, errkind.New(errkind.Usage, f.Config+" has no built-in provider, so people are known elsewhere").
			WithHint("Write builtin = true in an [[identity]] to have one, or add people at your provider.")
	}
	dir := node.UsersDir(cfg)
	if err := becomeOwner(filepath.Dir(dir)); err != nil {
		return nil, err
	}
	u, err := idp.OpenUsers(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil, errkind.New(errkind.Usage, "the people's file in "+dir+" cannot be opened").WithHint("Run this as root, or as the user the gateway (or its signer) runs as.").Because(err)
	}
	return &people{u, cfg.Site.Name, cfg.Identity[i].Groups}, err
}

func becomeOwner(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return errkind.New(errkind.Usage, dir+" does not exist yet").
			WithHint("Start the gateway (and its signer) once, which makes it; or make it for their user: install -d -m 0700 -o USER " + dir)
	}
	if err != nil || os.Getuid() != 0 {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 {
		return nil
	}
	return errors.Join(syscall.Setgroups(nil), syscall.Setgid(int(st.Gid)), syscall.Setuid(int(st.Uid)))
}

type usersAddCmd struct {
	userFile
	Name    string   `arg:"" help:"What they type at sign-in."`
	Group   []string `required:"" placeholder:"G" help:"A group, as the left side of [identity.groups] has it. May repeat."`
	ShownAs string   `placeholder:"TEXT" help:"The name that others see. Default: the name at sign-in."`
	Email   string   `placeholder:"ADDRESS" help:"For notifications."`
	passwordFlag
}

func (c *usersAddCmd) Run(a *app) error {
	users, err := c.open()
	if err != nil {
		return err
	}
	for _, g := range c.Group {
		if _, ok := users.groups[g]; !ok {
			return usageError(fmt.Sprintf("the group %q is not in [identity.groups] of %s, so it would mean nothing", g, c.Config), "Write it there, or use one of: "+strings.Join(slices.Sorted(maps.Keys(users.groups)), ", ")+".")
		}
	}
	password, made, err := c.read(a, c.Name)
	if err != nil {
		return err
	}
	if _, err := users.Add(idp.User{Name: c.Name, ShownAs: c.ShownAs, Email: c.Email, Groups: c.Group}, password); err != nil {
		return err
	}
	return tellPassword(a, c.Name+" can sign in.", password, made)
}

type usersListCmd struct {
	userFile
	listing
}

func (c *usersListCmd) Run(a *app) error {
	users, err := c.open()
	if err != nil {
		return err
	}
	all, err := users.All()
	if err != nil {
		return err
	}
	rows := make([]shownUser, len(all))
	for i, u := range all {
		rows[i] = shownUser{u.Name, u.Title(), u.Email, u.Groups, u.TOTP != "", u.Disabled, u.Subject}
	}
	return show(a, c.listing, rows, "There are no users. `sallyport users add` adds one.",
		"NAME SHOWN-AS GROUPS SECOND-FACTOR SUBJECT", func(u shownUser) []string {
			return []string{u.Name, u.ShownAs, strings.Join(u.Groups, ","),
				map[bool]string{true: "yes", false: "no"}[u.SecondFactor], u.Subject}
		})
}

// shownUser is a user without the password's hash and the second factor's secret.
type shownUser struct {
	Name         string   `json:"name"`
	ShownAs      string   `json:"shown_as"`
	Email        string   `json:"email,omitempty"`
	Groups       []string `json:"groups"`
	SecondFactor bool     `json:"second_factor"`
	Disabled     bool     `json:"disabled"`
	Subject      string   `json:"subject"`
}

type usersRemoveCmd struct {
	userFile
	Name string `arg:"" help:"The name of the user."`
}

func (c *usersRemoveCmd) Run(a *app) error {
	users, err := c.open()
	if err == nil {
		err = users.Remove(c.Name)
	}
	return err
}

type usersPasswdCmd struct {
	userFile
	Name string `arg:"" help:"The name of the user."`
	passwordFlag
}

func (c *usersPasswdCmd) Run(a *app) error {
	users, err := c.open()
	if err != nil {
		return err
	}
	password, made, err := c.read(a, c.Name)
	if err != nil {
		return err
	}
	if err := users.SetPassword(c.Name, password, time.Now()); err != nil {
		return err
	}
	return tellPassword(a, c.Name+" has a new password.", password, made)
}

type usersTOTPCmd struct {
	userFile
	Name   string `arg:"" help:"The name of the user."`
	Remove bool   `help:"Remove the second factor instead."`
}

func (c *usersTOTPCmd) Run(a *app) error {
	users, err := c.open()
	if err != nil {
		return err
	}
	if c.Remove {
		return users.DropTOTP(c.Name, time.Now())
	}
	address, err := users.EnrolTOTP(c.Name, users.site, time.Now())
	if err == nil {
		fmt.Fprintln(a.stdout, address)
		fmt.Fprintln(a.stderr, "Shown once. From now on "+safe(c.Name)+" needs a code of it to sign in.")
	}
	return err
}

// passwordFlag says where a password comes from. It is never an argument, which everybody on the machine could read.
type passwordFlag struct {
	PasswordStdin bool `help:"Read the password from standard input: one line. Without it you are asked on a terminal; an empty answer, or no terminal, makes one."`
}

// read gives a password, and whether it was made here.
func (f passwordFlag) read(a *app, name string) (password string, made bool, err error) {
	if f.PasswordStdin {
		line, err := bufio.NewReader(a.stdin).ReadString('\n')
		if line == "" && err != nil {
			return "", false, usageError("no password came on standard input", "Send it as one line.")
		}
		return strings.TrimRight(line, "\r\n"), false, nil
	}
	if in, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		password, err = askTwice(a, in, name)
		if err != nil || password != "" {
			return password, false, err
		}
	}
	return strings.ToLower(rand.Text()[:20]), true, nil
}

func askTwice(a *app, in *os.File, name string) (string, error) {
	ask := func(what string) (string, error) {
		fmt.Fprint(a.stderr, what)
		p, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(a.stderr)
		return string(p), err
	}
	first, err := ask("Password of " + safe(name) + " (empty: make one): ")
	if err != nil || first == "" {
		return "", err
	}
	again, err := ask("The same again: ")
	if err == nil && again != first {
		err = usageError("the two passwords are not the same", "Run the command again.")
	}
	return first, err
}

func tellPassword(a *app, what, password string, made bool) error {
	if made {
		if _, err := fmt.Fprintln(a.stdout, password); err != nil {
			return err
		}
		what += " The password above is shown once."
	}
	fmt.Fprintln(a.stderr, safe(what))
	return nil
}
