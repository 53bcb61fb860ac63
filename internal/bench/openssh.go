package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// sshd is the reference: OpenSSH's own server on loopback, jump host and target at once, with keys made for the run.
type sshd struct{ config string }

// openssh starts it, once in a run.
func (b *bench) openssh() (*sshd, error) {
	if b.sshd != nil {
		return b.sshd, nil
	}
	server, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "ssh")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 { // the empty directory that sshd's unprivileged part lives in
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, err
		}
	}
	for _, key := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ssh-keygen: %w: %s", err, out)
		}
	}
	pub, err := os.ReadFile(filepath.Join(dir, "user.pub"))
	if err != nil {
		return nil, err
	}
	host, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	known := fmt.Sprintf("[127.0.0.1]:%d %s", port, host)
	files := map[string]string{
		"authorized":  string(pub),
		"known":       known,
		"sshd_config": fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/authorized\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPrintMotd no\nPrintLastLog no\nPidFile none\nMaxStartups 100\n", port, dir, dir),
		"config":      fmt.Sprintf("Host target jump\n  HostName 127.0.0.1\n  Port %d\n  IdentityFile %s/user\n  IdentitiesOnly yes\n  UserKnownHostsFile %s/known\n  StrictHostKeyChecking yes\n  ControlMaster no\n  LogLevel ERROR\n", port, dir, dir),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(server, "-D", "-e", "-f", filepath.Join(dir, "sshd_config"))
	if cmd.Stderr, err = os.Create(filepath.Join(dir, "sshd.out")); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b.stops = append(b.stops, func() { stop(cmd, 5*time.Second) })
	s := &sshd{config: filepath.Join(dir, "config")}
	if err := within(10*time.Second, func() error { return s.ssh("target", "true").Run() }); err != nil {
		out, _ := os.ReadFile(filepath.Join(dir, "sshd.out"))
		return nil, fmt.Errorf("sshd: %w\n%s", err, out)
	}
	b.sshd = s
	return s, nil
}

// ssh prepares `ssh -F … args`.
func (s *sshd) ssh(args ...string) *exec.Cmd {
	cmd := exec.Command("ssh", append([]string{"-F", s.config}, args...)...)
	cmd.Env = append(os.Environ(), "TERM=xterm")
	return cmd
}

// jump prepares the same through the jump host.
func (s *sshd) jump(args ...string) *exec.Cmd {
	return s.ssh(append([]string{"-tt", "-J", "jump", "target"}, args...)...)
}

// plain is jump without a terminal.
func (s *sshd) plain(args ...string) *exec.Cmd {
	return s.ssh(append([]string{"-T", "-J", "jump", "target"}, args...)...)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}
