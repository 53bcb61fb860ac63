package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/web/apitype"
)

// Options are the flags of `sallyport demo`.
type Options struct {
	Dir     string
	Addr    string
	Devices int
	Ready   string
	Out     io.Writer
	Err     io.Writer
}

// guard owns everything that a demo runs.
type guard struct {
	o     Options
	s     *State
	agent string // program
	gw    *process
	mu    sync.Mutex // guards what follows
	devs  map[string]*process
	up    bool   // every device was online
	key   string // the log's verifier key
}

// Guard sets a demo up, keeps it running until the front is gone, and ends all of it.
func Guard(ctx context.Context, o Options) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	ctx = held(ctx)
	defer killDescendants(os.Getpid())
	g := &guard{o: o, devs: map[string]*process{}}
	lock, err := hold(o.Dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	forgetReady(o.Ready)
	if err := g.open(); err != nil {
		return err
	}
	var all sync.WaitGroup
	run, stop := context.WithCancel(context.Background())
	defer all.Wait()
	defer stop()
	all.Go(func() { reapOrphans(run, g.ours) })
	all.Go(func() { g.gw.run(run, g.say) })
	if err := g.setUp(ctx, run, &all); err != nil {
		return err
	}
	g.mu.Lock()
	g.up = true
	g.mu.Unlock()
	if err := g.ready(); err != nil {
		return err
	}
	g.tell()
	<-ctx.Done()
	forgetReady(o.Ready)
	return nil
}

func (g *guard) open() error {
	login, err := loginName()
	if err != nil {
		return err
	}
	if g.s, err = Open(g.o.Dir, g.o.Addr, g.o.Devices, login); err != nil {
		return err
	}
	if err := free(g.s.Addr); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	g.agent = filepath.Join(filepath.Dir(self), "sallyport-agent")
	if _, err := os.Stat(g.agent); err != nil {
		return fmt.Errorf("%s is missing: `make build` makes both programs side by side", g.agent)
	}
	g.gw = &process{name: "gateway", argv: []string{self, "demo-gateway", "--dir", g.s.Dir()}, log: g.s.path("log", "gateway.log"), started: func(int) { g.ready() }}
	return nil
}

// loginName is whose shells the demo's devices run: nobody where we are root, or else ourselves.
func loginName() (string, error) {
	if os.Getuid() == 0 {
		return "nobody", nil
	}
	u, err := user.Current()
	if err != nil {
		return "", err
	}
	return u.Username, nil
}

func (g *guard) say(err error) { fmt.Fprintln(g.o.Err, "demo:", err) }

func (g *guard) ours() map[int]bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := map[int]bool{g.gw.PID(): true}
	for _, p := range g.devs {
		out[p.PID()] = true
	}
	return out
}

func (g *guard) api(role string) (*client.Client, error) {
	return client.New(client.Options{Gateway: g.s.URL(), Bearer: g.s.User(role).Token})
}

// setUp enrols and admits what is new, and starts every agent.
func (g *guard) setUp(ctx, run context.Context, all *sync.WaitGroup) error {
	c, err := g.api("admin")
	if err != nil {
		return err
	}
	var head apitype.LogHead
	if err := eventually(ctx, 30*time.Second, func() error { return c.Get(ctx, "/api/v1/log/checkpoint", nil, &head) }); err != nil {
		return fmt.Errorf("the gateway did not come up: %w; its log is %s", err, g.gw.log)
	}
	g.key = head.Key
	for _, name := range g.s.Devices {
		if err := g.device(ctx, c, name); err != nil {
			return fmt.Errorf("device %s: %w", name, err)
		}
		p := &process{name: name, argv: append([]string{g.agent, "run", "--state", g.state(name), "--ephemeral"}, g.account(name)...),
			log: g.s.path("log", name+".log"), started: func(int) { g.ready() }}
		g.mu.Lock()
		g.devs[name] = p
		g.mu.Unlock()
		all.Go(func() { p.run(run, g.say) })
	}
	return eventually(ctx, 30*time.Second, func() error { return g.online(ctx, c) })
}

func (g *guard) state(name string) string { return g.s.path("devices", name) }

// account gives nobody, who has neither, a shell and a home of each device's own.
func (g *guard) account(name string) []string {
	if g.s.Login != "nobody" {
		return nil
	}
	return []string{"--shell", "/bin/bash", "--home", g.home(name)}
}

func (g *guard) home(name string) string { return g.s.path("home", name) }

// device enrols one that has no keys yet, over the same way as a real one, and admits it.
func (g *guard) device(ctx context.Context, c *client.Client, name string) error {
	if err := g.makeHome(name); err != nil {
		return err
	}
	var d apitype.Device
	err := c.Get(ctx, "/api/v1/devices/"+name, nil, &d)
	switch {
	case err == nil && d.State == wire.StateOK:
		return nil
	case err == nil && d.State == wire.StateRevoked: // somebody tried it, and nothing admits it again
		g.say(fmt.Errorf("%s is revoked and stays so. For a new set of machines, start with another --dir", name))
		return nil
	}
	if err != nil {
		var t apitype.EnrollToken
		if err := c.Post(ctx, "/api/v1/enroll-tokens", apitype.EnrollTokenNew{Name: name, Site: Site, Labels: labels(name)}, &t); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, g.agent, "enroll", t.Code, "--preset", "open", "--state", g.state(name), "--ephemeral", "--no-wait")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("enrol: %w\n%s", err, out)
		}
	}
	return c.Post(ctx, "/api/v1/devices/"+name+"/admit", apitype.Admit{}, &d)
}

func (g *guard) makeHome(name string) error {
	if g.s.Login != "nobody" {
		return nil
	}
	home := g.home(name)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return errors.Join(os.Chmod(filepath.Dir(home), 0o755), os.Chown(home, uid, gid))
}

func (g *guard) online(ctx context.Context, c *client.Client) error {
	for _, name := range g.s.Devices {
		var d apitype.Device
		if err := c.Get(ctx, "/api/v1/devices/"+name, nil, &d); err != nil {
			return err
		}
		if d.State == wire.StateRevoked {
			continue
		}
		if !d.Online || d.State != wire.StateOK {
			return fmt.Errorf("%s is not online; its log is %s", name, g.s.path("log", name+".log"))
		}
	}
	return nil
}

// eventually asks again until it works, the time is up or ctx ends.
func eventually(ctx context.Context, most time.Duration, f func() error) error {
	end := time.Now().Add(most)
	for {
		err := f()
		if err == nil || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
