package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/signer"
)

// Finding is one thing that doctor looked at on the gateway's own machine.
type Finding struct {
	What  string `json:"what"`
	State string `json:"state"` // ok; look: not as it should be; weak: a promise that this deployment keeps in part
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

// States of a finding.
const (
	OK   = "ok"
	Look = "look"
	Weak = "weak"
)

// Examine looks at a deployment from its configuration, whether or not it runs. It changes nothing.
func Examine(ctx context.Context, c *config.Config) []Finding {
	e := &examination{c: c}
	e.add("data directory", e.data)
	e.add("clock", e.clock)
	e.add("disk", e.disk)
	e.add("certificate", func() (string, error) { return e.certificate(ctx) })
	e.add("gateway", func() (string, error) { return e.gateway(ctx) })
	e.add("public address", func() (string, error) { return e.public(ctx) })
	e.add("policy", e.policy)
	e.add("log", e.ledger)
	e.add("readers", e.readers)
	e.identities(ctx)
	return append(e.out, promises(c)...)
}

type examination struct {
	c   *config.Config
	out []Finding
}

func (e *examination) add(what string, look func() (string, error)) {
	text, err := look()
	f := Finding{What: what, State: OK, Text: text}
	if err != nil {
		f.State, f.Text = Look, err.Error()
		if k, ok := errkind.Of(err); ok {
			f.Text, f.Hint = k.Text, k.Hint
		}
	}
	e.out = append(e.out, f)
}

func odd(text, hint string) error { return errkind.New(errkind.Unavailable, text).WithHint(hint) }

func (e *examination) data() (string, error) {
	dir := e.c.Site.DataDir
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return "", odd(err.Error(), "`sallyport serve` makes it at its first start.")
	case info.Mode().Perm()&0o077 != 0:
		return "", odd(fmt.Sprintf("others may read %s (mode %04o)", dir, info.Mode().Perm()), "chmod 0700, and think about who read the keys in it.")
	}
	if _, err := os.Stat(filepath.Join(dir, "DEMO")); err == nil {
		return "", odd(dir+" is a demo's data", "Name another directory.")
	}
	return dir, nil
}

// clock asks the kernel whether something keeps its time right: sign-ins, passes and the log's times rest on it.
func (e *examination) clock() (string, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return "", err
	}
	if state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0 {
		return "", odd("nothing keeps this machine's clock right: "+time.Now().UTC().Format("2006-01-02 15:04:05 UTC"), "Run chrony or systemd-timesyncd: sign-ins, passes and the log's times rest on the clock.")
	}
	return "synchronised, " + time.Now().UTC().Format("2006-01-02 15:04:05 UTC"), nil
}

func (e *examination) disk() (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(e.c.Site.DataDir, &st); err != nil {
		return "", err
	}
	free, low := config.Size(int64(st.Bavail)*st.Bsize), e.c.Recording.LowWater
	text := fmt.Sprintf("%s free, new sessions stop below %s", mib(free), low)
	switch {
	case free < low:
		return "", odd(text+": none starts now", "Free space where data_dir lies, or lower [recording] low_water.")
	case free < 2*low:
		return "", odd(text+", which is near", "Free space where data_dir lies before sessions are refused.")
	}
	return text, nil
}

func mib(s config.Size) string {
	if s >= 10<<30 {
		return fmt.Sprintf("%d GiB", s>>30)
	}
	return fmt.Sprintf("%d MiB", s>>20)
}

// soon is how long before its end a certificate is worth a word.
const soon = 21 * 24 * time.Hour

func (e *examination) certificate(ctx context.Context) (string, error) {
	end, err := certEnd(e.c)
	if e.c.TLS.Mode == "behind-proxy" {
		end, err = e.proxyCertEnd(ctx)
	}
	if err != nil {
		return "", err
	}
	text := "good until " + end.UTC().Format("2006-01-02")
	if left := time.Until(end); left < 0 {
		return "", odd("ended on "+end.UTC().Format("2006-01-02"), "Renew it: no browser and no device comes in.")
	} else if left < soon {
		return "", odd(text+", which is near", "Renew it; the new file is used without a restart.")
	}
	if e.c.TLS.Mode == "self" {
		text += ", of the gateway's own authority (" + filepath.Join(e.c.Site.DataDir, "tls", "ca.pem") + "): for trials"
	}
	return text, nil
}

func (e *examination) proxyCertEnd(ctx context.Context) (time.Time, error) {
	u, err := url.Parse(e.c.Site.URL)
	if err != nil || u.Scheme != "https" {
		return time.Time{}, errors.New("TLS ends nowhere: site.url is plain http on a loopback name")
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true}} // only its date is read; the next steps verify
	c, err := d.DialContext(ctx, "tcp", hostPort(u))
	if err != nil {
		return time.Time{}, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].NotAfter, nil
}

// gateway asks the process itself, on its listener.
func (e *examination) gateway(ctx context.Context) (string, error) {
	host, port, err := net.SplitHostPort(e.c.Listen.HTTPS)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	status, text, err := e.get(ctx, net.JoinHostPort(host, port), e.c.TLS.Mode != "behind-proxy")
	switch {
	case err != nil:
		return "", odd("does not answer at "+e.c.Listen.HTTPS+": "+short(err), "Start it: systemctl start sallyport; its log says what it lacks.")
	case status != http.StatusOK:
		return "", odd("runs and is not ready: "+strings.ReplaceAll(text, "\n", "; "), "New sessions are refused until that is so again.")
	}
	return "runs and is ready", nil
}

// public goes the way that people and devices go.
func (e *examination) public(ctx context.Context) (string, error) {
	status, _, err := e.get(ctx, "", true)
	switch {
	case err != nil:
		return "", odd(e.c.Site.URL+" cannot be reached from here: "+short(err), "Look at the name in DNS, the firewall and, behind a proxy, at its certificate.")
	case status == http.StatusMisdirectedRequest:
		return "", odd(e.c.Site.URL+" is answered, but under another Host", "The proxy must pass the Host header on unchanged.")
	case status != http.StatusOK && status != http.StatusServiceUnavailable:
		return "", odd(fmt.Sprintf("%s answers %d, which is not how a gateway answers", e.c.Site.URL, status), "Something else listens there, or the proxy does not pass requests on.")
	}
	return e.c.Site.URL + " leads here", nil
}

// get asks for /readyz under the site's name; at says where to connect instead of where the name leads.
func (e *examination) get(ctx context.Context, at string, https bool) (int, string, error) {
	u, err := url.Parse(e.c.Site.URL)
	if err != nil {
		return 0, "", err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if raw, err := os.ReadFile(filepath.Join(e.c.Site.DataDir, "tls", "ca.pem")); err == nil && e.c.TLS.Mode == "self" {
		roots.AppendCertsFromPEM(raw)
	}
	t := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if at != "" {
			addr = at
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
	scheme := u.Scheme
	if !https {
		scheme = "http"
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+u.Host+"/readyz", nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 8<<10))
	return resp.StatusCode, strings.TrimSpace(string(raw)), err
}

func short(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 && strings.HasPrefix(text, "dial ") {
		return text[i+2:]
	}
	return text
}

func (e *examination) policy() (string, error) {
	files, err := PolicyFiles(e.c)
	if err != nil {
		return "", err
	}
	if _, err := signer.LoadPolicy(files); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d file(s) read well; after the first start the stored policy counts (`sallyport policy status`)", len(files)), nil
}

// ledger compares the log with its copy, as far as this user may read them.
func (e *examination) ledger() (string, error) {
	own, err := checkpointSize(filepath.Join(SignerDir(e.c), "log"))
	if err != nil {
		return "", odd("the log cannot be read: "+err.Error(), "Run this as root, or as the signer's user; before the first start there is none.")
	}
	if e.c.Ledger.SecondCopy == "" {
		return "", odd(fmt.Sprintf("%d entries, and no second copy", own), "[ledger] second_copy on another disk: then a log that was rolled back, as by a restored backup, cannot go on unnoticed.")
	}
	other, err := checkpointSize(e.c.Ledger.SecondCopy)
	if err != nil {
		return "", odd("the second copy cannot be read: "+err.Error(), "Is its disk mounted?")
	}
	if other+10 < own {
		return "", odd(fmt.Sprintf("the second copy lacks %d of %d entries", own-other, own), "Is its disk full or read-only? The gateway's log says.")
	}
	return fmt.Sprintf("%d entries, the second copy has %d", own, other), nil
}

func checkpointSize(dir string) (int64, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return 0, err
	}
	n, err := headSize(raw)
	return int64(n), err
}

func (e *examination) readers() (string, error) {
	readers, err := recipientFiles("readers_files", e.c.Recording.ReadersFiles)
	if err != nil {
		return "", err
	}
	unsealers, err := recipientFiles("unsealers_files", e.c.Recording.UnsealersFiles)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%d for recordings, %d for hidden input", len(readers), len(unsealers))
	if len(readers) < 2 {
		return "", odd(text, "Add a second reader whose key is kept offline: with the only one lost, every recording is.")
	}
	return text, nil
}

// identities looks at each provider, and says what must be registered there.
func (e *examination) identities(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for _, i := range e.c.Identity {
		if i.Builtin {
			e.add("identity "+i.Name, e.people)
			continue
		}
		e.add("identity "+i.Name, func() (string, error) {
			redirect := siteBase(e.c) + "/callback/" + i.Name
			p, err := oidcauth.New(oidcauth.Config{Name: i.Name, ShownAs: i.ShownAs, Issuer: i.Issuer, ClientID: i.ClientID, RedirectURL: redirect})
			if err == nil {
				err = p.Check(ctx)
			}
			return i.Issuer + " answers; registered there must be exactly " + redirect, err
		})
	}
}

func (e *examination) people() (string, error) {
	dir := UsersDir(e.c)
	if _, err := os.Stat(dir); err != nil {
		return "", odd("its people cannot be read: "+err.Error(), "Run this as root; before the first start there are none.")
	}
	u, err := idp.OpenUsers(dir)
	if err != nil {
		return "", err
	}
	all, err := u.All()
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", odd("built in, and nobody is known", "sallyport users add NAME --group GROUP --config FILE")
	}
	second := 0
	for _, p := range all {
		if p.TOTP != "" {
			second++
		}
	}
	return fmt.Sprintf("built in, %d people, %d with a second factor", len(all), second), nil
}
