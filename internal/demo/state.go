package demo

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/errkind"
)

// State is what a demo keeps in DIR/demo.json (0600): with the same directory it starts again with everything kept.
type State struct {
	Addr    string   `json:"addr"` // 127.0.0.1:port
	Login   string   `json:"login"`
	Users   []User   `json:"users"`
	Devices []string `json:"devices"`
	Sizes   Sizes    `json:"sizes,omitzero"`

	dir string
}

// Sizes of a demo's record, in bytes, and its limits on live sessions, for trying out others: write them into demo.json.
// Zero is the demo's own.
type Sizes struct {
	Journal    int64 `json:"journal,omitzero"`
	Ballast    int64 `json:"ballast,omitzero"`
	LowWater   int64 `json:"low_water,omitzero"`
	PerSession int64 `json:"per_session,omitzero"`
	PerPerson  int   `json:"per_person,omitzero"`
	PerDevice  int   `json:"per_device,omitzero"`
}

// User is one of each role.
type User struct {
	Name     string   `json:"name"`
	Role     string   `json:"role"`
	ShownAs  string   `json:"shown_as"`
	Groups   []string `json:"groups"`
	Password string   `json:"password"`
	Token    string   `json:"token"`
}

// People of a demo. The names are the roles: whoever tries it should not have to remember who is who.
var people = []User{
	{Name: "technician", Role: "technician", ShownAs: "Tess Technician", Groups: []string{"technicians"}},
	{Name: "approver", Role: "approver", ShownAs: "Alex Approver", Groups: []string{"shift-leads"}},
	{Name: "owner", Role: "owner", ShownAs: "Oona Owner", Groups: []string{"owners"}},
	{Name: "officer", Role: "officer", ShownAs: "Ola Officer", Groups: []string{"compliance", "compliance-unseal"}},
	{Name: "admin", Role: "admin", ShownAs: "Ada Admin", Groups: []string{"administrators"}},
}

// Site is the one site of a demo.
const Site = "plant-north"

// Open reads DIR/demo.json or makes a new demo there. A directory that holds something else is refused.
func Open(dir, addr string, devices int, login string) (*State, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &State{dir: dir}
	raw, err := os.ReadFile(s.path("demo.json"))
	switch {
	case err == nil:
		if err := json.Unmarshal(raw, s); err != nil {
			return nil, fmt.Errorf("%s: %w", s.path("demo.json"), err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	default:
		if err := s.fresh(login); err != nil {
			return nil, err
		}
	}
	if addr != "" && !strings.HasSuffix(addr, ":0") {
		s.Addr = addr
	}
	if s.Addr == "" {
		if s.Addr, err = freePort(); err != nil {
			return nil, err
		}
	}
	for i := len(s.Devices); i < devices; i++ {
		s.Devices = append(s.Devices, fmt.Sprintf("press-%d", i+1))
	}
	if devices > 0 {
		s.Devices = s.Devices[:devices]
	}
	return s, s.save()
}

// hold makes the directory this demo's own until the file is closed: two in one would each end what the other runs.
func hold(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, errkind.New(errkind.Conflict, "a demo runs in "+dir+" already").WithHint("Use that one, stop it, or name another directory with --dir.").Because(err)
	}
	return f, nil
}

// free makes sure that the gateway will get its address.
func free(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return errkind.New(errkind.Unavailable, "the demo cannot listen on "+addr+": "+reason(err)).WithHint("Name another address, as --http 127.0.0.1:8443.").Because(err)
	}
	return l.Close()
}

func reason(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	return err.Error()
}

// Read reads an existing demo.
func Read(dir string) (*State, error) {
	s := &State{dir: dir}
	raw, err := os.ReadFile(s.path("demo.json"))
	if err != nil {
		return nil, err
	}
	return s, json.Unmarshal(raw, s)
}

func (s *State) fresh(login string) error {
	entries, err := os.ReadDir(s.dir)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("%s holds something that is not a demo; name another directory with --dir", s.dir)
	}
	for _, d := range []string{"", "data", "devices", "keys", "log"} {
		mode := os.FileMode(0o700)
		if d == "" || d == "devices" {
			mode = 0o711 // shells run as another user and must reach their home
		}
		if err := os.MkdirAll(s.path(d), mode); err != nil {
			return err
		}
		if err := os.Chmod(s.path(d), mode); err != nil {
			return err
		}
	}
	if err := os.WriteFile(s.path("data", "DEMO"), []byte("The data of a demo: its keys and passwords lie open in "+s.dir+".\n"), 0o600); err != nil {
		return err
	}
	s.Login = login
	for _, u := range people {
		u.Password, u.Token = rand.Text()[:16], "spt_"+strings.ToLower(rand.Text())
		s.Users = append(s.Users, u)
	}
	if err := s.writePolicy(); err != nil {
		return err
	}
	return errors.Join(s.identity("reader"), s.identity("unsealer"))
}

// identity makes an age key pair: the identity for the person, the recipient for the gateway.
func (s *State) identity(name string) error {
	k, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path("keys", name+".txt"), []byte(k.String()+"\n"), 0o600); err != nil {
		return err
	}
	return os.WriteFile(s.path("keys", name+".pub"), []byte(k.Recipient().String()+"\n"), 0o600)
}

func (s *State) save() error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return writeByRename(s.path("demo.json"), raw)
}

// writeByRename leaves the old file or the new one, whole.
func writeByRename(path string, raw []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func (s *State) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// Dir is the demo's directory.
func (s *State) Dir() string { return s.dir }

// URL is the address to open in a browser.
func (s *State) URL() string {
	_, port, _ := net.SplitHostPort(s.Addr)
	return "http://localhost:" + port
}

// User finds one by role.
func (s *State) User(role string) User {
	for _, u := range s.Users {
		if u.Role == role {
			return u
		}
	}
	return User{}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// CheckAddr refuses what would show a demo, whose passwords lie open, to anybody else.
func CheckAddr(addr string, devices int) error {
	if devices < 1 || devices > 100 {
		return errkind.New(errkind.Usage, fmt.Sprintf("--devices %d: want 1 to 100", devices)).WithHint("Leave it out for three.")
	}
	if addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return errkind.New(errkind.Usage, fmt.Sprintf("--http %s: a demo listens on loopback only", addr)).WithHint("Write 127.0.0.1:PORT.")
	}
	return nil
}
