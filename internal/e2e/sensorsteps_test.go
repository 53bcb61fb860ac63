package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/testenv"
)

// sensorHouse is a server as operations.md describes it: the signer apart, certificate files, a second copy of the log,
// a provider of the company's beside the built-in one. Its data lie on a small disk.
type sensorHouse struct {
	*apart
	metrics     string // host:port
	ca          *tls.Certificate
	acme        *httptest.Server
	admin, tess *testenv.Person
	agent       *testenv.Process
}

func newSensorHouse(t *testing.T) *sensorHouse {
	h := &sensorHouse{apart: newApart(t), metrics: testenv.FreePort(t)}
	if err := unix.Mount("tmpfs", h.Path("data"), "tmpfs", 0, fmt.Sprintf("mode=0700,uid=%d,gid=%d,size=%d", gatewayUID, gatewayUID, 128<<20)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(h.Path("data"), unix.MNT_DETACH) })
	for dir, owner := range map[string]int{"copy": signerUID, "etc/tls": gatewayUID, "data/tls": gatewayUID} {
		os.MkdirAll(h.Path(dir), 0o755)
		os.Chown(h.Path(dir), owner, owner)
	}
	h.issue(t, "localhost", 90*24*time.Hour)
	h.startProvider(t)
	h.Write(`mode = "self"`, fmt.Sprintf("mode = \"files\"\ncert = %q\nkey = %q", h.Path("etc/tls/cert.pem"), h.Path("etc/tls/key.pem")),
		"[listen]", fmt.Sprintf("[listen]\nmetrics = %q", h.metrics))
	h.Text += fmt.Sprintf("[ledger]\nsecond_copy = %q\n[[identity]]\nname = \"acme\"\nissuer = %q\nclient_id = \"sallyport\"\n", h.Path("copy"), h.acme.URL)
	h.Text = strings.Replace(h.Text, fmt.Sprintf("url = %q", h.URL), fmt.Sprintf("url = %q\nhosts = [%q]", h.URL, strings.TrimPrefix(h.URL, "https://")), 1)
	h.Write()
	h.startSigner()
	h.gateway = h.Serve(h.as(gatewayUID))
	h.AddUser("ada", "administrators")
	h.AddUser("tess", "technicians")
	h.admin, h.tess = h.Person("ada"), h.Person("tess")
	h.agent = h.Join(h.admin, "press-1", "--ca", h.CA())
	return h
}

// startProvider is the part of a company's provider that the gateway asks for health: its discovery document.
func (h *sensorHouse) startProvider(t *testing.T) {
	h.acme = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		base := "http://" + r.Host
		fmt.Fprintf(w, `{"issuer":%[1]q,"authorization_endpoint":"%[1]s/a","token_endpoint":"%[1]s/t","jwks_uri":"%[1]s/k"}`, base)
	}))
	t.Cleanup(h.acme.Close)
}

// issue puts a new certificate and its key into the files that the gateway reads.
func (h *sensorHouse) issue(t *testing.T, host string, age time.Duration) {
	t.Helper()
	if now := time.Now(); h.ca == nil {
		k := newKey()
		ca := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(1000 * time.Hour), IsCA: true, BasicConstraintsValid: true}
		der, _ := x509.CreateCertificate(rand.Reader, ca, ca, k.Public(), k)
		ca, _ = x509.ParseCertificate(der)
		h.ca = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k, Leaf: ca}
		h.put(t, h.CA(), "CERTIFICATE", der)
	}
	cert, private := h.pair(t, host, age)
	h.put(t, h.Path("etc/tls/key.pem"), "PRIVATE KEY", private)
	h.put(t, h.Path("etc/tls/cert.pem"), "CERTIFICATE", cert)
}

// pair makes a certificate of the house's authority, and its key.
func (h *sensorHouse) pair(t *testing.T, host string, age time.Duration) (cert, private []byte) {
	t.Helper()
	k, now := newKey(), time.Now()
	leaf := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), DNSNames: []string{host}, NotBefore: now.Add(-100 * 24 * time.Hour), NotAfter: now.Add(age)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, h.ca.Leaf, k.Public(), h.ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	if private, err = x509.MarshalPKCS8PrivateKey(k); err != nil {
		t.Fatal(err)
	}
	return der, private
}

func newKey() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the system has no randomness
	}
	return k
}

// put writes a file as a renewal does: beside the old one, and then in its place.
func (h *sensorHouse) put(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	os.Chown(path+".new", gatewayUID, gatewayUID)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func (h *sensorHouse) steps() []step {
	const day = 24 * 3600
	none := func(*testing.T) {}
	served := func(days float64) reading {
		return func(_, now float64, there bool) bool { return there && now > (days-1)*day && now < (days+1)*day }
	}
	renewal := func(what string, breaks func(*testing.T), doctor string) step {
		return step{what: "certificate: " + what, breaks: breaks, warns: "certificate: ", doctor: map[string]string{"certificate": doctor},
			metrics: map[string]reading{"cert_reload_failed": is(1), "cert_expiry_seconds": served(90)}}
	}
	move := func(path string) (away, back func(*testing.T)) {
		return func(*testing.T) { os.Rename(path, path+".away") }, func(*testing.T) { os.Rename(path+".away", path) }
	}
	copyAway, copyBack := move(h.Path("copy"))
	journalAway, journalBack := move(h.Path("data/recordings/journal"))
	usersAway, usersBack := move(h.Path("signer/idp"))
	var held *shell
	var slow *testenv.Trace
	var free func()
	return []step{
		{what: "what is so from the start", breaks: none, doctor: map[string]string{"readers": "1 for recordings", "promise 1": "lies in memory"},
			metrics: map[string]reading{"idp_up": is(2), "signer_up": is(1), "cert_reload_failed": is(0), "cert_expiry_seconds": served(90),
				"control_handshakes_total": is(1), "control_reconnects_total": is(0), "devices_connected": is(1), "record_pending_bytes": is(0)}},
		{what: "a session runs while the disk is slow", breaks: func(t *testing.T) {
			h.acme.Close() // noticed by the last step
			slow = testenv.Attach(t, h.gateway.Process.Pid, "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=300000")
			held = (&plant{Server: h.Server, t: t, tess: h.tess}).shell(t, "while :; do echo tick; sleep .02; done")
		}, metrics: map[string]reading{"sessions": grows, "session_start_seconds": grows, "record_commit_seconds": grows, "record_pending_bytes": grows,
			"decisions_total": grows, "ledger_size": grows}, mend: func(t *testing.T) { slow.Stop(); held.cmd.Process.Kill(); held.end(t) }},
		renewal("its key cannot be read", func(*testing.T) { os.Chown(h.Path("etc/tls/key.pem"), 0, 0) }, "the key's file cannot be read (permission denied)"),
		renewal("its key is another's", func(t *testing.T) {
			os.Chown(h.Path("etc/tls/key.pem"), gatewayUID, gatewayUID)
			cert, _ := h.pair(t, "localhost", 300*24*time.Hour)
			h.put(t, h.Path("etc/tls/cert.pem"), "CERTIFICATE", cert)
		}, "private key does not match public key"),
		renewal("it has ended", func(t *testing.T) { h.issue(t, "localhost", -24*time.Hour) }, "ended on "),
		renewal("it names another host", func(t *testing.T) { h.issue(t, "other.example", 300*24*time.Hour) }, "does not name localhost"),
		{what: "certificate: a good renewal, near its end", breaks: func(t *testing.T) { h.issue(t, "localhost", 10*24*time.Hour) },
			metrics: map[string]reading{"cert_reload_failed": is(0), "cert_expiry_seconds": served(10)}, doctor: map[string]string{"certificate": "which is near"},
			mend: func(t *testing.T) { h.issue(t, "localhost", 90*24*time.Hour) }},
		{what: "the recordings belong to another user", breaks: func(*testing.T) {
			os.Chown(h.Path("data/recordings"), 0, 0)
			h.tess.Run("shell", "press-1", "--", "true")
		},
			ready: map[string]string{"recorder": "recordings cannot be written (permission denied)"}, metrics: map[string]reading{"record_refused_total": grows},
			doctor: map[string]string{"recordings": "nobody cannot write recordings", "gateway": "recordings cannot be written"},
			mend:   func(*testing.T) { os.Chown(h.Path("data/recordings"), gatewayUID, gatewayUID) }},
		{what: "so does the directory of today", breaks: func(t *testing.T) {
			if err := os.MkdirAll(h.today(2), 0o755); err != nil {
				t.Fatal(err)
			}
			os.Chown(h.today(2), 0, 0)
		}, ready: map[string]string{"recorder": "recordings cannot be written (permission denied)"}, doctor: map[string]string{"recordings": "permission denied"},
			mend: func(*testing.T) {
				for depth := range 3 {
					os.Chown(h.today(depth), gatewayUID, gatewayUID)
				}
			}},
		{what: "the disk is full", breaks: func(t *testing.T) { leave(t, h.Path("data"), 8<<20) }, metrics: map[string]reading{"disk_free_bytes": shrinks},
			ready: map[string]string{"recorder": "must stay free"}, doctor: map[string]string{"disk": "none starts now"},
			mend: func(*testing.T) { os.Remove(h.Path("data/somebody-elses")) }},
		{what: "the database is locked", breaks: func(t *testing.T) { free = lockDatabase(t, h.Path("data/gateway.db")) },
			ready: map[string]string{"database": ""}, mend: func(*testing.T) { free() }},
		{what: "the journal is gone", breaks: journalAway, metrics: map[string]reading{"journal_bytes": missing}, mend: journalBack},
		{what: "the data directory is open to others", breaks: func(*testing.T) { os.Chmod(h.Path("data"), 0o750) }, doctor: map[string]string{"data directory": "others may read"},
			mend: func(*testing.T) { os.Chmod(h.Path("data"), 0o700) }},
		{what: "the second copy is not mounted", breaks: copyAway, doctor: map[string]string{"log": "the second copy cannot be read"}, mend: copyBack},
		{what: "the people cannot be read", breaks: usersAway, doctor: map[string]string{"identity guests": "cannot be read"}, mend: usersBack},
		{what: "the archive may open hidden input", breaks: func(t *testing.T) { h.archiveUnseals(t) }, doctor: map[string]string{"promise 5": "is among the unsealers"}},
		{what: "another policy counts", breaks: func(t *testing.T) {
			text, _ := os.ReadFile(h.Path("etc/policy.toml"))
			os.WriteFile(h.Path("etc/policy.toml"), append(text, "\n# another\n"...), 0o644)
			h.admin.Must("policy", "apply", h.Path("etc/policy.toml"), "--reason", "another")
			os.WriteFile(h.Path("etc/policy.toml"), []byte("format = 1\nnonsense = true\n"), 0o644)
		}, metrics: map[string]reading{"policy_hash_info": is(2)}, doctor: map[string]string{"policy": "nonsense"}},
		{what: "a device goes", breaks: func(*testing.T) { h.agent.End(syscall.SIGTERM) }, metrics: map[string]reading{"devices_connected": is(0), "agent_version": missing}},
		{what: "it comes back", breaks: func(t *testing.T) {
			h.agent = testenv.Launch(h.t, h.Path("press-1.log"), h.Agent("press-1", "run"))
		}, metrics: map[string]reading{"control_handshakes_total": grows, "control_reconnects_total": is(1), "devices_connected": is(1)}},
		{what: "something tries the device's address without its key", breaks: h.agentDoctor, metrics: map[string]reading{"control_refused_total": grows}},
		{what: "a proxy opens TLS", breaks: h.throughOpeningProxy, metrics: map[string]reading{"intercepted_total": is(1)}},
		{what: "a device's key is copied", breaks: func(t *testing.T) {
			if got := testenv.Finish(t, exec.Command("cp", "-a", h.Path("devices/press-1"), h.Path("devices/copied"))); got.Status != 0 {
				t.Fatalf("%+v", got)
			}
			testenv.Launch(h.t, h.Path("copied.log"), h.Agent("copied", "run"))
		}, metrics: map[string]reading{"two_lines_one_key_total": grows}},
		{what: "the signer is killed, and the company's provider is away", breaks: func(*testing.T) { h.signer.End(syscall.SIGKILL) },
			metrics: map[string]reading{"signer_up": is(0), "idp_up": is(0)}, ready: map[string]string{"signer": "the signer does not answer"},
			warns: "identity acme: ", doctor: map[string]string{"identity acme": "", "identity guests": "the gateway last asked"}, mend: func(*testing.T) { h.startSigner() }},
		{what: "the gateway is killed", breaks: func(*testing.T) { h.gateway.End(syscall.SIGKILL) },
			doctor: map[string]string{"gateway": "does not answer", "public address": "cannot be reached"}},
	}
}

// today is where the day's recordings go, down to year (0), month (1) or day (2).
func (h *sensorHouse) today(depth int) string {
	parts := strings.Split(time.Now().UTC().Format("2006/01/02"), "/")
	return h.Path(append([]string{"data/recordings"}, parts[:depth+1]...)...)
}

// lockDatabase takes the database away from its gateway until free.
func lockDatabase(t *testing.T, path string) (free func()) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_txlock=exclusive&_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	free = sync.OnceFunc(func() { tx.Rollback(); db.Close() })
	t.Cleanup(free)
	return free
}

// archiveUnseals puts the archive's own key among those that open hidden input.
func (h *sensorHouse) archiveUnseals(t *testing.T) {
	raw, err := os.ReadFile(h.Path("data/keys/archive.txt"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := age.ParseX25519Identity(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	file := h.Path("etc/unsealer.age")
	text, _ := os.ReadFile(file)
	if err := os.WriteFile(file, append(text, k.Recipient().String()+"\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
}

// agentDoctor opens a control line and proves nothing. The configuration names the site's own host twice.
func (h *sensorHouse) agentDoctor(t *testing.T) {
	got := testenv.Finish(t, h.Agent("press-1", "doctor"))
	if n := strings.Count(got.Out, "reach "); n != 1 {
		t.Errorf("doctor on the device tries %d hosts, want 1: %+v", n, got)
	}
}

func (h *sensorHouse) throughOpeningProxy(t *testing.T) {
	addr, ca := openingProxy(h.t, h.Listen)
	code := strings.TrimSpace(h.admin.Must("enroll-token", "create", "--name", "press-2"))
	enrol := h.Agent("press-2", "enroll", code, "--preset", "open", "--no-wait", "--proxy", "http://"+addr, "--ca", ca)
	if got := testenv.Finish(t, enrol); got.Status != 0 {
		t.Fatalf("%+v", got)
	}
	h.admin.Must("devices", "admit", "press-2")
	testenv.Launch(h.t, h.Path("press-2.log"), h.Agent("press-2", "run", "--proxy", "http://"+addr))
}
