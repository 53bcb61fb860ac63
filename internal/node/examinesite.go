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
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/readfile"
	"github.com/sallyport/sallyport/internal/wire"
)

// soon is how long before its end a certificate is worth a word.
const soon = 21 * 24 * time.Hour

// answer is what the running gateway said on its own listener.
type answer struct {
	status int
	text   string            // of /readyz
	served *x509.Certificate // nil without TLS
	err    error             // it does not answer
}

// ask goes to the process itself. The certificate is not verified here: the checks of the certificate and of the public
// address do that.
func (e *examination) ask(ctx context.Context) (a answer) {
	host, port, err := net.SplitHostPort(e.c.Listen.HTTPS)
	if err != nil {
		return answer{err: err}
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "https"
	if e.c.TLS.Mode == "behind-proxy" {
		scheme = "http"
	}
	return e.get(ctx, scheme, net.JoinHostPort(host, port), &tls.Config{InsecureSkipVerify: true})
}

// warned gives the warning that the running gateway shows at /readyz for one of its parts.
func (a answer) warned(part string) string {
	for line := range strings.Lines(a.text) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), warning+part+": "); ok {
			return text
		}
	}
	return ""
}

// unready gives the lines that are not warnings.
func (a answer) unready() string {
	var out []string
	for line := range strings.Lines(a.text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, warning) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "; ")
}

// certificate judges what is served, and compares it with the files: a renewal that the gateway could not load leaves
// the old certificate in use until it ends.
func (e *examination) certificate(ctx context.Context) (string, error) {
	if e.c.TLS.Mode == "behind-proxy" {
		leaf, err := e.proxyCertificate(ctx)
		if err != nil {
			return "", err
		}
		return e.dated(leaf, "")
	}
	cert, key := certificateFiles(e.c)
	pair, err := readPair(cert, key)
	served := e.site.served
	if served == nil { // nothing is served, so only the files can be checked
		if err != nil {
			return "", err
		}
		return e.dated(pair.Leaf, "in the files: ")
	}
	good := "served until " + served.NotAfter.UTC().Format(time.DateOnly) + ": "
	switch why := e.site.warned("certificate"); {
	case why != "":
		return "", odd(good+"an older one, as the gateway cannot use the files in "+cert+" and "+key+": "+
			strings.TrimSuffix(why, stillServed), e.renewHint(why))
	case err != nil:
		text, hint, _ := errkind.ForPeople(err)
		return "", odd(good+text, hint)
	case !served.Equal(pair.Leaf):
		return "", odd(good+"not the one in "+cert+", which ends on "+pair.Leaf.NotAfter.UTC().Format(time.DateOnly),
			"The gateway checks its files every ten seconds. If this does not change, another process answers at "+
				e.c.Listen.HTTPS+".")
	}
	return e.dated(served, "")
}

// renewHint says what to do about files that the gateway cannot use. This command may run as another user than the
// gateway, so the owner of the data directory is named: that is the gateway's user.
func (e *examination) renewHint(why string) string {
	hint := "The gateway would not start again with these files."
	owner, err := ownerOf(e.c.Site.DataDir)
	if err != nil || !strings.Contains(why, syscall.EACCES.Error()) {
		return hint
	}
	return hint + " It runs as the user " + userName(owner) + ", who must be able to read both files: chown root:GROUP " +
		"and chmod 0640, with a group of that user."
}

// dated says how long a certificate is good for the site.
func (e *examination) dated(leaf *x509.Certificate, where string) (string, error) {
	day := leaf.NotAfter.UTC().Format(time.DateOnly)
	if left := time.Until(leaf.NotAfter); left < 0 {
		return "", odd(where+"expired on "+day, "Renew it: no browser and no device can connect.")
	} else if left < soon {
		return "", odd(where+"good until "+day+", which is near", "Renew it; the new files are used without a restart.")
	}
	if u, err := url.Parse(e.c.Site.URL); err == nil && leaf.VerifyHostname(u.Hostname()) != nil {
		return "", odd(where+"it does not name "+u.Hostname(), "Renew it for the host of [site] url.")
	}
	text := where + "good until " + day
	if e.c.TLS.Mode == "self" {
		text += ", of the gateway's own authority (" + filepath.Join(e.c.Site.DataDir, "tls", "ca.pem") + "): for trials"
	}
	return text, nil
}

func (e *examination) proxyCertificate(ctx context.Context) (*x509.Certificate, error) {
	u, err := url.Parse(e.c.Site.URL)
	if err != nil || u.Scheme != "https" {
		return nil, errors.New("TLS ends nowhere: site.url is plain http on a loopback name")
	}
	d := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: 5 * time.Second},
		Config:    &tls.Config{InsecureSkipVerify: true}, // only its date and name are read; the next steps verify
	}
	c, err := d.DialContext(ctx, "tcp", hostPort(u))
	if err != nil {
		return nil, odd(fmt.Sprintf("not known, because the proxy at %s does not answer: %v", u.Host, err),
			"Start the proxy, and check that "+u.Hostname()+" leads to it.")
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// gateway reports the answer of the process itself.
func (e *examination) gateway() (string, error) {
	switch a := e.site; {
	case a.err != nil:
		return "", odd("does not answer at "+e.c.Listen.HTTPS+": "+short(a.err),
			"Start it: systemctl start sallyport. If it does not start, its log says why.")
	case a.status != http.StatusOK:
		return "", odd("runs and is not ready: "+a.unready(), "New sessions are refused until it is ready.")
	}
	return "runs and is ready", nil
}

// agents reports devices whose agents the running gateway refuses because of their version.
func (e *examination) agents() (string, error) {
	if why := e.site.warned("agents"); why != "" {
		return "", odd(why, wire.UpdateAgent+" `sallyport devices list` names the devices.")
	}
	return fmt.Sprintf("none is refused because of its version; this gateway speaks version %d of the control protocol",
		wire.ControlVersion), nil
}

// public goes the way that people and devices go.
func (e *examination) public(ctx context.Context) (string, error) {
	scheme, _, _ := strings.Cut(e.c.Site.URL, ":")
	a := e.get(ctx, scheme, "", &tls.Config{RootCAs: e.roots()})
	switch status := a.status; {
	case a.err != nil:
		return "", odd(e.c.Site.URL+" cannot be reached from here: "+short(a.err),
			"Check DNS, the firewall and, behind a proxy, the proxy's certificate.")
	case status == http.StatusMisdirectedRequest:
		return "", odd(e.c.Site.URL+" is answered, but under another Host", "The proxy must pass the Host header on unchanged.")
	case status != http.StatusOK && status != http.StatusServiceUnavailable:
		return "", odd(fmt.Sprintf("%s answers %d, which is not how a gateway answers", e.c.Site.URL, a.status),
			"Something else listens there, or the proxy does not pass requests on.")
	}
	return e.c.Site.URL + " leads here", nil
}

// get asks for /readyz under the site's name; at says where to connect instead of where the name leads.
func (e *examination) get(ctx context.Context, scheme, at string, conf *tls.Config) (a answer) {
	u, err := url.Parse(e.c.Site.URL)
	if err != nil {
		return answer{err: err}
	}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if at != "" {
			addr = at
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	t := &http.Transport{DisableKeepAlives: true, TLSClientConfig: conf, DialContext: dial}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+u.Host+"/readyz", nil)
	if err != nil {
		return answer{err: err}
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 8<<10))
	a = answer{status: resp.StatusCode, text: strings.TrimSpace(string(raw)), err: err}
	if resp.TLS != nil {
		a.served = resp.TLS.PeerCertificates[0]
	}
	return a
}

// roots are those of people's computers, and the gateway's own authority if it made its certificate.
func (e *examination) roots() *x509.CertPool {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	raw, err := readfile.Regular(filepath.Join(e.c.Site.DataDir, "tls", "ca.pem"), readfile.Most)
	if err == nil && e.c.TLS.Mode == "self" {
		roots.AppendCertsFromPEM(raw)
	}
	return roots
}

func short(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 && strings.HasPrefix(text, "dial ") {
		return text[i+2:]
	}
	return text
}
