package testenv

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Person is somebody at a computer of their own: a home for what the command line keeps, and a browser.
type Person struct {
	Home    string
	Browser *Browser

	t       testing.TB
	bin     string
	gateway string
}

// NewPerson gives one who has not signed in to a gateway.
func NewPerson(t testing.TB, gateway string) *Person {
	return &Person{Home: t.TempDir(), Browser: NewBrowser(t), t: t, bin: Binaries(t), gateway: gateway}
}

// Kept is the file in which the command line keeps sign-ins.
func (p *Person) Kept() string { return filepath.Join(p.Home, ".config", "sallyport", "client.json") }

// Bearer is the secret of the sign-in that the command line keeps.
func (p *Person) Bearer() string {
	p.t.Helper()
	var kept struct {
		Logins map[string]struct{ Bearer string }
	}
	raw, err := os.ReadFile(p.Kept())
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return kept.Logins[p.gateway].Bearer
}

// Command prepares `sallyport args…` without a token: only what login has kept shows who it is.
func (p *Person) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "sallyport"), args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "SALLYPORT_") || strings.HasPrefix(v, "XDG_")
	})
	cmd.Env = append(cmd.Env, "SALLYPORT_GATEWAY="+p.gateway, "HOME="+p.Home, "NO_COLOR=1")
	return cmd
}

// Run runs `sallyport args…`, for a minute at most.
func (p *Person) Run(args ...string) Result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return Finish(p.t, p.Command(ctx, args...))
}

// Must is Run of what has to work; it gives the output.
func (p *Person) Must(args ...string) string {
	p.t.Helper()
	got := p.Run(args...)
	if got.Status != 0 {
		p.t.Fatalf("sallyport %v: %+v", args, got)
	}
	return got.Out
}

var (
	loginAddress = regexp.MustCompile(`https?://\S+/login/(cli|device)\S*`)
	userCode     = regexp.MustCompile(`type  (\S+)`)
)

// Login runs `sallyport login args…` and does in the browser what it asks for. SignIn answers the pages of a provider, and is
// called only when they show; answer is allow or deny.
func (p *Person) Login(signIn func(*Browser), answer string, args ...string) Result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := p.Command(ctx, append([]string{"login", "--no-browser"}, args...)...)
	errs, err := cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	var out, said bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	lines := bufio.NewReader(io.TeeReader(errs, &said))
	to := p.loginPage(lines)
	if p.Browser.Open(to); !strings.Contains(p.Browser.Body, `name="answer"`) {
		signIn(p.Browser)
	}
	p.Browser.Submit("answer", answer)
	io.Copy(io.Discard, lines)
	cmd.Wait()
	return Result{out.String(), said.String(), cmd.ProcessState.ExitCode()}
}

// loginPage reads what login says until it has named the page to open, and the code to type there.
func (p *Person) loginPage(lines *bufio.Reader) string {
	p.t.Helper()
	page := ""
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			p.t.Fatalf("login ended without an address: %q", line)
		}
		if at := loginAddress.FindString(line); at != "" {
			page = at
		}
		code := userCode.FindStringSubmatch(line)
		switch {
		case strings.Contains(page, "/login/cli"):
			return page
		case code != nil:
			return page + "?code=" + code[1] // as the page's own form does
		}
	}
}
