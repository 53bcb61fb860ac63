// Command sallyport-agent runs on a device: it holds one outbound line to the gateway and opens sessions that the
// device itself has agreed to.
//
// It is wiring: flags, words and exit codes around package agent. It uses the plain flag package and has no HTTP server, because it
// must stay small on small machines and offer nothing to connect to. The same program is the supervisor of each session, started
// again by the running agent and never by hand. What it prints of a gateway's or a technician's words is text only: whoever reads it
// sits at the machine's own terminal.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/sallyport/sallyport/internal/agent"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/agent/supervise"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/plain"
)

const usage = `sallyport-agent: this device's side of Sallyport

  enroll CODE [--preset locked|ask|office-hours|open] [--ca FILE] [--no-wait]
                         enrol this device at a gateway with a join code
  run                    hold the line to the gateway; sessions outlive a restart of it
  status [--json]        who this device is, whether it is online, what the owner allows
  sessions [--json]      who is on this device now
  freeze | thaw          end every session and let nothing new open | lift that
  consent list           requests that wait for the owner (allow ID | deny ID answers them)
  doctor [--json]        try each thing that a session needs
  proxy [show]           the proxy to the gateway, without its password
  proxy set [URL] | off  keep a proxy (without URL: read it from standard input) | remove it
  --version              print the version

Every command takes --state DIR (default ` + state.DefaultDir + `, with the owner's
rules in ` + state.DefaultOwner + `; with --state they are DIR/owner.toml).
enroll and run take --ephemeral (the state may lie in memory); run takes --shell FILE and
--home DIR for accounts that have no shell or home of their own.
enroll, run and doctor take --proxy URL or --proxy-file FILE, and enroll keeps it for run.
Otherwise they use HTTPS_PROXY or ALL_PROXY, and NO_PROXY. The URL of a proxy has the form
http://[user:password@]host:port or socks5://[user:password@]host:port. A password belongs in
a file or on standard input: other users can see a command line until the program has hidden it.
Exit status: 0 done, 1 failed, 2 usage, 77 denied.
`

func main() {
	code := run(hidePasswords(os.Args[1:]), os.Stdout, os.Stderr)
	os.Exit(code)
}

func run(args []string, out, errs io.Writer) int {
	out, errs = plain.Text(out), plain.Text(errs) // causes of errors repeat what another server sent
	if len(args) == 0 {
		fmt.Fprint(errs, usage)
		return errkind.Usage.Exit()
	}
	if args[0] == "-h" || args[0] == "--help" || args[0] == "help" {
		fmt.Fprint(out, usage)
		return 0
	}
	if args[0] == "--version" || args[0] == "version" {
		fmt.Fprintf(out, "%s %s/%s\n", agent.Version(), runtime.GOOS, runtime.GOARCH)
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := command(ctx, args[0], args[1:], out, errs)
	if err == nil {
		return 0
	}
	return explain(err, errs)
}

// explain writes what, why and what to do.
func explain(err error, errs io.Writer) int {
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	text, hint := err.Error(), ""
	if e, ok := errkind.Of(err); ok {
		text, hint = e.Text, e.Hint
		if e.Err != nil && e.Kind != errkind.Usage {
			text += " (" + e.Err.Error() + ")"
		}
	}
	fmt.Fprintln(errs, "sallyport-agent:", text)
	if hint != "" {
		fmt.Fprintln(errs, hint)
	}
	return errkind.KindOf(err).Exit()
}

// options are the flags of all commands.
type options struct {
	state, ca, preset, serial, shell, home string
	proxy, proxyFile                       string
	ephemeral, json, noWait, verbose       bool
	rest                                   []string
}

// parse reads flags before and after the arguments, since people write both.
func parse(name string, args []string, out io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.StringVar(&o.state, "state", "", "state directory")
	f.BoolVar(&o.verbose, "v", false, "log more")
	switch name {
	case "enroll", "run", "doctor", "proxy", "status", "sessions":
		f.StringVar(&o.proxy, "proxy", "", "proxy to the gateway")
		f.StringVar(&o.proxyFile, "proxy-file", "", "file with the proxy to the gateway")
	}
	switch name {
	case "enroll":
		f.StringVar(&o.preset, "preset", "", "owner's rules to begin with")
		f.StringVar(&o.ca, "ca", "", "certificates to trust beside the system's")
		f.StringVar(&o.serial, "serial", "", "the device's serial number")
		f.BoolVar(&o.noWait, "no-wait", false, "do not wait to be admitted")
		fallthrough
	case "run":
		f.BoolVar(&o.ephemeral, "ephemeral", false, "the state may be forgotten")
		f.StringVar(&o.shell, "shell", "", "shell of accounts without one")
		f.StringVar(&o.home, "home", "", "home of accounts without one")
	case "status", "sessions", "doctor":
		f.BoolVar(&o.json, "json", false, "machine readable")
	}
	for {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				fmt.Fprint(out, usage)
				return o, err
			}
			return o, errkind.New(errkind.Usage, name+": "+err.Error()).WithHint("`sallyport-agent help` lists the commands.")
		}
		if f.NArg() == 0 {
			return o, nil
		}
		o.rest = append(o.rest, f.Arg(0))
		args = f.Args()[1:]
	}
}

func command(ctx context.Context, name string, args []string, out, errs io.Writer) error {
	level := slog.LevelInfo
	if name == "supervise" {
		return supervise.Main(slog.New(slog.NewTextHandler(os.Stderr, nil)).With(slog.String("part", "supervisor")))
	}
	o, err := parse(name, args, out)
	if err != nil {
		return err
	}
	if o.verbose {
		level = slog.LevelDebug
	}
	cfg := agent.Config{State: state.At(o.state), Ephemeral: o.ephemeral, Proxy: o.proxy,
		ProxyFile: o.proxyFile, CA: o.ca,
		Log: slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: level}))}
	cfg.Fallback.Shell, cfg.Fallback.Home = o.shell, o.home
	want := map[string]int{"enroll": 1, "consent": -1, "proxy": -1}[name]
	if name == "enroll" {
		if len(o.rest) == 0 {
			o.rest = []string{""} // what is missing is said where the code is read
		}
		if len(o.rest) > 1 {
			return errkind.New(errkind.Usage, fmt.Sprintf("enroll takes one join code, not %.40q as well", o.rest[1])).WithHint("`sallyport-agent help` lists the commands.")
		}
	}
	if want >= 0 && len(o.rest) != want {
		return errkind.New(errkind.Usage, fmt.Sprintf("%s: unexpected %q", name, strings.Join(o.rest, " "))).WithHint("`sallyport-agent help` lists the commands.")
	}
	switch name {
	case "enroll":
		cfg.Log = slog.New(slog.DiscardHandler)
		return agent.Enroll(ctx, cfg, agent.Joining{Code: o.rest[0], Preset: o.preset, Serial: o.serial, Wait: !o.noWait, Out: out})
	case "run":
		return agent.Run(ctx, cfg)
	case "status":
		return status(cfg.State, o.json, out)
	case "sessions":
		return sessions(cfg.State, o.json, out)
	case "freeze", "thaw":
		return freeze(cfg.State, name == "freeze", out)
	case "consent":
		return consent(o.rest, out)
	case "doctor":
		return doctor(ctx, cfg, o.json, out)
	case "proxy":
		return proxy(cfg, o.rest, os.Stdin, out)
	}
	return errkind.New(errkind.Usage, fmt.Sprintf("%q is not a command", name)).WithHint("`sallyport-agent help` lists them.")
}
