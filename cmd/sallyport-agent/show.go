package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sallyport/sallyport/internal/agent"
	"github.com/sallyport/sallyport/internal/agent/proc"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/plain"
)

func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(plain.JSON(out))
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func status(d state.Dir, asJSON bool, out io.Writer) error {
	st, err := agent.Look(d)
	if asJSON && (err == nil || errkind.KindOf(err) == errkind.NotFound) {
		return writeJSON(out, st)
	}
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(k, v string) { fmt.Fprintf(w, "%s\t%s\n", k, v) }
	row("name", st.Name)
	row("key", st.Fingerprint)
	row("agent", running(st))
	if st.Running && !st.Line.Online && st.Line.Hint != "" {
		row("what to do", st.Line.Hint)
	}
	if st.Rules != "" {
		row("owner's rules", "nothing is allowed: "+st.Rules)
	} else {
		row("owner's rules", fmt.Sprintf("preset %s, %s", or(st.Preset, "none"), d.Owner))
	}
	if st.Proxy != "" {
		row("proxy", st.Proxy)
	}
	row("frozen", map[bool]string{true: "yes: nothing new opens", false: "no"}[st.Frozen])
	row("log seen", fmt.Sprintf("%d entries", st.Log))
	row("sessions", fmt.Sprint(len(st.Sessions)))
	row("state", st.StateDir)
	for i, weak := range st.Weakened {
		row(map[bool]string{true: "weakened", false: ""}[i == 0], weak)
	}
	return w.Flush()
}

func running(st agent.Status) string {
	switch {
	case !st.Running:
		return "not running"
	case !st.Line.Online:
		return "running, offline since " + st.Line.Since.Format(time.DateTime) + ": " + st.Line.Why
	}
	return fmt.Sprintf("online at %s since %s, %s, tunnel %s", st.Line.Gateway, st.Line.Since.Format(time.DateTime), st.Line.State, st.Line.Tunnel)
}

func sessions(d state.Dir, asJSON bool, out io.Writer) error {
	all := agent.Sessions(d)
	if asJSON {
		return writeJSON(out, all)
	}
	if len(all) == 0 {
		fmt.Fprintln(out, "No session is running on this device.")
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SESSION\tWHO\tLOGIN\tFOR\tUNTIL\tREASON\tMAY DO")
	for _, s := range all {
		if s.State == agent.Silent {
			fmt.Fprintf(w, "%s\t-\t-\t-\t-\tits supervisor (%d) does not answer\t-\n", s.Session, s.PID)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Session, s.Who, s.Login, time.Duration(s.Seconds)*time.Second,
			s.Until.Format(time.TimeOnly), s.Reason, mayDo(s.Actions))
	}
	return w.Flush()
}

// mayDo lists the actions of a session as long as they fit on a line.
func mayDo(actions []string) string {
	if list := strings.Join(actions, ", "); len(list) <= 120 {
		return list
	}
	return fmt.Sprintf("%d actions; --json lists them", len(actions))
}

func freeze(d state.Dir, on bool, out io.Writer) error {
	did, err := agent.Freeze(d, on)
	if err != nil {
		return err
	}
	if !on {
		fmt.Fprintln(out, "Thawed.")
		return nil
	}
	fmt.Fprintln(out, "Frozen: every session ends, and nothing new opens until `sallyport-agent thaw`.")
	for _, s := range did.Ended {
		fmt.Fprintf(out, "Session %s did not end by itself. Ended with SIGKILL: %s.\n", s.Session, or(proc.List(s.Ended), "nothing"))
		if len(s.Left) > 0 {
			fmt.Fprintf(out, "SIGKILL did not end: %s.\n", proc.List(s.Left))
		}
	}
	if !did.AgentRuns {
		fmt.Fprintln(out, "The agent does not run. The gateway learns of the freeze when it starts.")
	}
	return nil
}

// consent has nothing to answer yet: what the owner's rules set to ask is refused.
func consent(args []string, out io.Writer) error {
	switch {
	case len(args) == 1 && args[0] == "list":
		fmt.Fprintln(out, "No request waits: this version refuses every action that the owner's rules set to ask.")
		return nil
	case len(args) == 2 && (args[0] == "allow" || args[0] == "deny"):
		return errkind.New(errkind.NotFound, fmt.Sprintf("no request %.40q waits for an answer", args[1])).
			WithHint("This version refuses what the owner's rules set to ask; allow it in the rules to let it in.")
	}
	return errkind.New(errkind.Usage, "consent is followed by list, by allow and an id, or by deny and an id").
		WithHint("`sallyport-agent consent list` shows what waits.")
}

func doctor(ctx context.Context, cfg agent.Config, asJSON bool, out io.Writer) error {
	all := agent.Doctor(ctx, cfg)
	bad := 0
	for _, f := range all {
		if !f.OK {
			bad++
		}
	}
	if asJSON {
		if err := writeJSON(out, all); err != nil {
			return err
		}
	}
	for _, f := range all {
		if asJSON {
			break
		}
		fmt.Fprintf(out, "%-5s %-18s %s\n", map[bool]string{true: "ok", false: "LOOK"}[f.OK], f.What, f.Text)
		if f.Hint != "" {
			fmt.Fprintf(out, "%s%s\n", strings.Repeat(" ", 25), f.Hint)
		}
	}
	if bad > 0 {
		return errkind.New(errkind.Unavailable, fmt.Sprintf("%d of %d are not as they should be", bad, len(all))).WithHint("Begin with the first line marked LOOK.")
	}
	return nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
