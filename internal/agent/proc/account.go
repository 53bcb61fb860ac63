package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Account is a login of this machine.
type Account struct {
	Name     string
	UID, GID uint32
	Groups   []uint32
	Home     string
	Shell    string
}

// Fallback is what an account without a usable shell or home gets: service accounts and demos.
type Fallback struct {
	Shell string `json:"shell"`
	Home  string `json:"home"`
}

// Lookup finds a login. An agent that is not root can only be who it is.
func Lookup(login string, fallback Fallback) (Account, error) {
	a, err := find(login)
	if err != nil {
		return a, err
	}
	if uid := os.Geteuid(); uid != 0 && int(a.UID) != uid {
		return a, fmt.Errorf("this agent does not run as root, so it opens sessions as uid %d only, not as %s", uid, login)
	}
	if !usableShell(a.Shell) {
		a.Shell = fallback.Shell
	}
	if !usableDir(a.Home) && fallback.Home != "" {
		a.Home = fallback.Home
	}
	if a.Home == "" {
		a.Home = "/"
	}
	return a, nil
}

// find reads /etc/passwd and /etc/group itself: the agent is a static binary, and a name service that answers over a
// network is not there when a machine needs service.
func find(login string) (Account, error) {
	raw, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return Account{}, fmt.Errorf("this machine's accounts cannot be read: %w", err)
	}
	for line := range strings.Lines(string(raw)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) != 7 || f[0] != login || login == "" {
			continue
		}
		uid, errU := strconv.ParseUint(f[2], 10, 32)
		gid, errG := strconv.ParseUint(f[3], 10, 32)
		if errU != nil || errG != nil {
			return Account{}, fmt.Errorf("the account %s has no valid uid and gid", login)
		}
		a := Account{Name: login, UID: uint32(uid), GID: uint32(gid), Home: f[5], Shell: f[6]}
		if a.Shell == "" {
			a.Shell = "/bin/sh" // passwd(5)
		}
		a.Groups = groups(login, a.GID)
		return a, nil
	}
	return Account{}, fmt.Errorf("this machine has no account %q", login)
}

func groups(login string, own uint32) []uint32 {
	out := []uint32{own}
	raw, err := os.ReadFile("/etc/group")
	if err != nil {
		return out
	}
	for line := range strings.Lines(string(raw)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 4 {
			continue
		}
		gid, err := strconv.ParseUint(f[2], 10, 32)
		for m := range strings.SplitSeq(f[3], ",") {
			if err == nil && m == login && uint32(gid) != own {
				out = append(out, uint32(gid))
			}
		}
	}
	return out
}

func usableShell(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 && !strings.HasSuffix(path, "/nologin") && !strings.HasSuffix(path, "/false")
}

func usableDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// Environ is a login's clean environment; extra comes last.
func (a Account) Environ(extra ...string) []string {
	path := "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"
	if a.UID == 0 {
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	return append([]string{"HOME=" + a.Home, "USER=" + a.Name, "LOGNAME=" + a.Name, "SHELL=" + a.Shell, "PATH=" + path}, extra...)
}
