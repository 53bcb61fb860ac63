// Sallyport is the gateway and the command line of Sallyport.
//
// A command is a struct with a Run method that takes the app; it becomes one by a line in commands, or in serverCommands
// where it needs cgo. What a command prints for programs goes to stdout; what it says to people, notices and errors, to stderr.
//
// It is wiring. The client's half talks to a gateway through package client and decides nothing, and it is built without cgo for three systems; the
// server's half makes a gateway by package node. What comes from elsewhere is shown as text: names, reasons and records may hold
// escape sequences that somebody put there for the administrator's terminal.
package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kong"
)

type commands struct {
	Gateway string `env:"SALLYPORT_GATEWAY" placeholder:"URL" help:"The gateway's address. Default: the one signed in to last."`
	CA      string `name:"ca" type:"path" placeholder:"FILE" help:"Certificate authority to trust besides the system's, in PEM form."`

	ShowVersion kong.VersionFlag `name:"version" help:"Print the version."`

	Login  loginCmd  `cmd:"" group:"you" help:"Sign in."`
	Logout logoutCmd `cmd:"" group:"you" help:"Sign out. Sessions that were opened with this sign-in end."`
	Whoami whoamiCmd `cmd:"" group:"you" help:"Show who you are, your groups and duties."`
	Token  tokenCmd  `cmd:"" group:"you" help:"API tokens, for machines."`

	Shell    shellCmd    `cmd:"" group:"work" help:"Open a terminal on a device, or run a command there."`
	Devices  devicesCmd  `cmd:"" aliases:"device" group:"work" help:"Devices: list, admit, label, revoke."`
	Sessions sessionsCmd `cmd:"" aliases:"session" group:"work" help:"Sessions: list, watch, end, replay, export."`
	Request  requestCmd  `cmd:"" aliases:"requests" group:"work" help:"Request a right, and answer requests."`
	Grants   grantsCmd   `cmd:"" aliases:"grant" group:"work" help:"Rights that were agreed to: list, show, withdraw."`

	EnrollToken   enrollTokenCmd   `cmd:"" group:"run" help:"Join codes, by which devices enrol."`
	Sites         sitesCmd         `cmd:"" aliases:"site" group:"run" help:"Sites and the people who own the devices there."`
	Proposals     proposalsCmd     `cmd:"" aliases:"proposal" group:"run" help:"Changes that wait for a second administrator."`
	Policy        policyCmd        `cmd:"" group:"run" help:"The policy: check, explain, apply."`
	Notifications notificationsCmd `cmd:"" aliases:"notification" group:"run" help:"Mails and webhooks about requests: list, retry, test."`
	Audit         auditCmd         `cmd:"" group:"run" help:"Events of the log."`
	Retention     retentionCmd     `cmd:"" group:"run" help:"Report from when recordings may be deleted."`
	Log           logCmd           `cmd:"" group:"run" help:"The log's checkpoints and proofs."`
	Doctor        doctorCmd        `cmd:"" group:"run" help:"Find out what is wrong, from here."`

	serverCommands `embed:"" group:"server"`

	Completion completionCmd `cmd:"" group:"you" help:"Print a completion script for bash."`
	Version    versionCmd    `cmd:"" group:"you" help:"Print the version."`
}

const description = `Audited remote access to machines: every session is announced, decided by policy and recorded.

Exit status: 0 done, 1 failed, 2 usage, 77 denied by policy, grant or owner. "shell" exits with the command's own status, 128+n after
signal n, 255 if it failed itself.

SALLYPORT_GATEWAY names the gateway; SALLYPORT_TOKEN holds an API token and takes precedence over a sign-in. HTTPS_PROXY or
ALL_PROXY names a proxy as http://[user:password@]host:port or socks5://[user:password@]host:port; NO_PROXY excepts hosts.`

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// exited carries an exit status that help and the like asked for out of the parser.
type exited int

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) (status int) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exited:
			status = int(r)
		default:
			panic(r)
		}
	}()
	var c commands
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, commands: &c}
	parser, err := newParser(&c, stdout, stderr)
	if err != nil {
		panic(err) // a mistake in the structs above
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	if i := slices.IndexFunc(args, func(s string) bool { return !utf8.ValidString(s) }); i >= 0 {
		return a.usage(fmt.Errorf("argument %d is not UTF-8: %q", i+1, args[i]), "sallyport")
	}
	k, err := parser.Parse(args)
	if err != nil {
		code := a.usage(err, path(err))
		if len(args) > 2 && args[0] == "shell" && !strings.HasPrefix(args[2], "-") && !slices.Contains(args, "--") {
			fmt.Fprintln(stderr, "Put -- before a command that has flags of its own: sallyport shell DEVICE -- ls -l")
		}
		return code
	}
	a.model, a.parsed = parser.Model, k
	defer a.stop()
	return a.status(k.Run(a))
}

func newParser(c *commands, stdout, stderr io.Writer) (*kong.Kong, error) {
	return kong.New(c, kong.Name("sallyport"), kong.Description(description), kong.Writers(stdout, stderr), kong.Vars{"version": versionText()},
		kong.Exit(func(n int) { panic(exited(n)) }), kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.ExplicitGroups([]kong.Group{{Key: "work", Title: "Work:"}, {Key: "you", Title: "You:"}, {Key: "run", Title: "Running a gateway:"},
			{Key: "server", Title: "The gateway itself:"}}))
}

// path gives the command that a mistake was made in.
func path(err error) string {
	p, ok := err.(*kong.ParseError)
	if !ok || p.Context == nil {
		return "sallyport"
	}
	return strings.TrimSpace("sallyport " + commandPath(p.Context))
}

func commandPath(k *kong.Context) string {
	var words []string
	for _, p := range k.Path {
		if p.Command != nil {
			words = append(words, p.Command.Name)
		}
	}
	return strings.Join(words, " ")
}

func (a *app) usage(err error, command string) int {
	fmt.Fprintf(a.stderr, "sallyport: %s\nRun `%s --help` for the options.\n", safe(err.Error()), command)
	return 2
}
