package demo

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/internal/id"
)

type readyUser struct {
	Name     string `json:"name"`
	Role     string `json:"role"`
	Password string `json:"password"`
	Token    string `json:"token"`
}

type readyDevice struct {
	Name     id.Device `json:"name"`
	Login    string    `json:"login"`
	StateDir string    `json:"state_dir"`
	PID      int       `json:"pid"`
}

// ready writes the ready-file, and writes it anew when a process was started again.
func (g *guard) ready() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.o.Ready == "" || !g.up {
		return nil
	}
	out := struct {
		URL        string            `json:"url"`
		SSH        string            `json:"ssh"`
		LogKey     string            `json:"log_key"`
		DataDir    string            `json:"data_dir"`
		Users      []readyUser       `json:"users"`
		Devices    []readyDevice     `json:"devices"`
		GatewayPID int               `json:"gateway_pid"`
		Identities map[string]string `json:"identities"`
	}{URL: g.s.URL(), LogKey: g.key, DataDir: g.s.path("data"), GatewayPID: g.gw.PID(),
		Identities: map[string]string{"reader": g.s.path("keys", "reader.txt"), "unsealer": g.s.path("keys", "unsealer.txt")}}
	for _, u := range g.s.Users {
		out.Users = append(out.Users, readyUser{u.Name, u.Role, u.Password, u.Token})
	}
	for _, name := range g.s.Devices {
		out.Devices = append(out.Devices, readyDevice{id.Device(name), g.s.Login, g.state(name), g.devs[name].PID()})
	}
	raw, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	return writeByRename(g.o.Ready, raw)
}

// tell prints what a newcomer needs.
func (g *guard) tell() {
	p := func(format string, args ...any) { fmt.Fprintf(g.o.Out, format+"\n", args...) }
	p("\nSallyport demo: %s\n", g.s.URL())
	p("  %-12s %-18s %s", "sign in as", "password", "who")
	for _, u := range g.s.Users {
		p("  %-12s %-18s %s", u.Name, u.Password, u.ShownAs)
	}
	p("\nThree things to try:")
	p("  1. Sign in as technician, open a terminal on press-1 and type. On press-2 you read why not, and the nearest way in.")
	p("  2. Sign in as officer, replay that session and ask whether its record is whole.")
	p("  3. In another shell:")
	p("       export SALLYPORT_GATEWAY=%s SALLYPORT_TOKEN=%s", g.s.URL(), g.s.User("technician").Token)
	p("       %s shell press-1 -- sh -c 'echo out; echo err >&2; exit 7'; echo $?", relative(filepath.Join(filepath.Dir(g.agent), "sallyport")))
	p("\nLog key: %s", g.key)
	p("Officer's token (export, verify): %s", g.s.User("officer").Token)
	p("Everything is kept in %s. Ctrl-C ends the demo.", g.s.Dir())
	if os.Getuid() != 0 {
		p("Not root: shells run as you, %s, beside the agents' own keys; a session could read them. As root they run as nobody.", g.s.Login)
	} else if shut := closedTo(g.s.Dir()); shut != "" {
		p("Shells run as %s, who cannot pass %s: their homes are out of reach. Another --dir has them.", g.s.Login, shut)
	}
	p("One process holds gateway, signer and archive here: whoever takes it has every key. `sallyport serve` can keep them apart.")
}

// closedTo names the directory above a demo's own that its shells' user cannot pass; empty: none.
func closedTo(dir string) string {
	for d := filepath.Dir(dir); ; d = filepath.Dir(d) {
		if info, err := os.Stat(d); err == nil && info.Mode().Perm()&0o001 == 0 {
			return d
		}
		if d == filepath.Dir(d) {
			return ""
		}
	}
}

func relative(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if r, err := filepath.Rel(wd, path); err == nil && len(r) < len(path) {
		return r
	}
	return path
}
