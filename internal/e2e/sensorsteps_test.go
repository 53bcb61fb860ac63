package e2e

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/testenv"
)

func (h *sensorHouse) steps() []step {
	const day = 24 * 3600
	none := func(*testing.T) {}
	served := func(days float64) reading {
		return func(_, now float64, there bool) bool { return there && now > (days-1)*day && now < (days+1)*day }
	}
	renewal := func(what string, breaks func(*testing.T), doctor string) step {
		return step{
			what:    "certificate: " + what,
			breaks:  breaks,
			warns:   "certificate: ",
			doctor:  map[string]string{"certificate": doctor},
			metrics: map[string]reading{"cert_reload_failed": is(1), "cert_expiry_seconds": served(90)},
		}
	}
	move := func(path string) (away, back func(*testing.T)) {
		return func(*testing.T) { os.Rename(path, path+".away") }, func(*testing.T) { os.Rename(path+".away", path) }
	}
	copyAway, copyBack := move(h.Path("copy"))
	journalAway, journalBack := move(h.Path("data/recordings/journal"))
	usersAway, usersBack := move(h.Path("signer/idp"))
	keyAway, keyBack := move(h.Path("etc/backup.age"))
	var held *shell
	var silent []net.Conn
	var slow *testenv.Trace
	var free func()
	return []step{
		{
			what:   "what is so from the start",
			breaks: none,
			doctor: map[string]string{"readers": "1 for recordings", "promise 1": "lies in memory",
				"backup": "[backup] recipients is missing"},
			metrics: map[string]reading{"backup_age_seconds": is(math.Inf(1)),
				"idp_up": is(2), "signer_up": is(1), "cert_reload_failed": is(0),
				"cert_expiry_seconds":      served(90),
				"control_handshakes_total": is(1), "control_reconnects_total": is(0), "devices_connected": is(1),
				"record_pending_bytes": is(0)}},
		{
			what: "a session runs while the disk is slow",
			breaks: func(t *testing.T) {
				h.acme.Close() // noticed by the last step
				slow = testenv.Attach(t, h.gateway.Process.Pid, "-e", "trace=fdatasync", "-e",
					"inject=fdatasync:delay_enter=300000")
				held = (&plant{Server: h.Server, t: t, tess: h.tess}).shell(t, "while :; do echo tick; sleep .02; done")
			},
			metrics: map[string]reading{"sessions": grows, "session_start_seconds": grows,
				"record_commit_seconds": grows, "record_pending_bytes": grows,
				"decisions_total": grows, "ledger_size": grows},
			mend: func(t *testing.T) { slow.Stop(); held.cmd.Process.Kill(); held.end(t) }},
		{
			what: "somebody holds connections and sends nothing",
			breaks: func(t *testing.T) {
				from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}} // not where the others are
				for range 60 {
					c, err := from.Dial("tcp4", strings.TrimPrefix(h.URL, "https://"))
					if err == nil {
						silent = append(silent, c)
					} else if !errors.Is(err, syscall.ECONNRESET) { // one too many
						t.Fatal(err)
					}
				}
			},
			metrics: map[string]reading{"unauthenticated_connections": grows, "unauthenticated_closed_total": grows},
			mend: func(*testing.T) {
				for _, c := range silent {
					c.Close()
				}
			}},
		renewal("its key cannot be read", func(*testing.T) { os.Chown(h.Path("etc/tls/key.pem"), 0, 0) },
			"the key's file cannot be read (permission denied)"),
		renewal("its key is another's", func(t *testing.T) {
			os.Chown(h.Path("etc/tls/key.pem"), gatewayUID, gatewayUID)
			cert, _ := h.pair(t, "localhost", 300*24*time.Hour)
			h.put(t, h.Path("etc/tls/cert.pem"), "CERTIFICATE", cert)
		}, "private key does not match public key"),
		renewal("it has ended", func(t *testing.T) { h.issue(t, "localhost", -24*time.Hour) }, "expired on "),
		renewal("it names another host", func(t *testing.T) { h.issue(t, "other.example", 300*24*time.Hour) },
			"does not name localhost"),
		{
			what:    "certificate: a good renewal, near its end",
			breaks:  func(t *testing.T) { h.issue(t, "localhost", 10*24*time.Hour) },
			metrics: map[string]reading{"cert_reload_failed": is(0), "cert_expiry_seconds": served(10)},
			doctor:  map[string]string{"certificate": "which is near"},
			mend:    func(t *testing.T) { h.issue(t, "localhost", 90*24*time.Hour) }},
		{
			what: "the recordings belong to another user",
			breaks: func(*testing.T) {
				os.Chown(h.Path("data/recordings"), 0, 0)
				h.tess.Run("shell", "press-1", "--", "true")
			},
			ready:   map[string]string{"recorder": "recordings cannot be written (permission denied)"},
			metrics: map[string]reading{"record_refused_total": grows},
			doctor: map[string]string{
				"recordings": "nobody cannot write recordings", "gateway": "recordings cannot be written"},
			mend: func(*testing.T) { os.Chown(h.Path("data/recordings"), gatewayUID, gatewayUID) }},
		{
			what: "so does the directory of today",
			breaks: func(t *testing.T) {
				if err := os.MkdirAll(h.today(2), 0o755); err != nil {
					t.Fatal(err)
				}
				os.Chown(h.today(2), 0, 0)
			},
			ready:  map[string]string{"recorder": "recordings cannot be written (permission denied)"},
			doctor: map[string]string{"recordings": "permission denied"},
			mend: func(*testing.T) {
				for depth := range 3 {
					os.Chown(h.today(depth), gatewayUID, gatewayUID)
				}
			}},
		{
			what:    "the disk is full",
			breaks:  func(t *testing.T) { leave(t, h.Path("data"), 8<<20) },
			metrics: map[string]reading{"disk_free_bytes": shrinks},
			ready:   map[string]string{"recorder": "must stay free"},
			doctor:  map[string]string{"disk": "none starts now"},
			mend:    func(*testing.T) { os.Remove(h.Path("data/somebody-elses")) }},
		{
			what:   "the database is locked",
			breaks: func(t *testing.T) { free = lockDatabase(t, h.Path("data/gateway.db")) },
			ready:  map[string]string{"database": ""},
			mend:   func(*testing.T) { free() }},
		{
			what:    "the journal is gone",
			breaks:  journalAway,
			metrics: map[string]reading{"journal_bytes": missing},
			mend:    journalBack},
		{
			what:   "the data directory is open to others",
			breaks: func(*testing.T) { os.Chmod(h.Path("data"), 0o750) },
			doctor: map[string]string{"data directory": "others may read"},
			mend:   func(*testing.T) { os.Chmod(h.Path("data"), 0o700) }},
		{
			what:   "the second copy is not mounted",
			breaks: copyAway,
			doctor: map[string]string{"log": "the second copy cannot be read"},
			mend:   copyBack},
		{
			what:   "backups are configured and none was made",
			breaks: h.configureBackups,
			doctor: map[string]string{
				"backup of the gateway": "none was made", "backup of the signer": "none was made"}},
		{
			what:   "the key for backups is gone",
			breaks: keyAway,
			doctor: map[string]string{"backup keys": "no backup can be made: [backup] recipients"},
			mend:   keyBack},
		{
			what: "backups were made, and their disk is not mounted",
			breaks: func(t *testing.T) {
				h.makeBackups(t)
				os.RemoveAll(h.Path("of-gateway"))
				os.RemoveAll(h.Path("of-signer"))
			},
			metrics: map[string]reading{"backup_age_seconds": below(600)},
			doctor: map[string]string{
				"backup of the gateway": "cannot be read", "backup of the signer": "cannot be read"}},
		{
			what:    "a mail server is away, and a webhook refuses for good",
			breaks:  h.notificationsFail,
			warns:   "notifications: notifications that were not delivered",
			doctor:  map[string]string{"notifications": "not tried again: 1"},
			metrics: map[string]reading{"notify_failed_total": grows, "notify_pending": is(1), "notify_dead": is(1)}},
		{
			what:   "the people cannot be read",
			breaks: usersAway,
			doctor: map[string]string{"identity guests": "cannot be read"},
			mend:   usersBack},
		{
			what:   "the archive may open hidden input",
			breaks: func(t *testing.T) { h.archiveUnseals(t) },
			doctor: map[string]string{"promise 5": "is among the unsealers"}},
		{
			what: "another policy counts",
			breaks: func(t *testing.T) {
				text, _ := os.ReadFile(h.Path("etc/policy.toml"))
				os.WriteFile(h.Path("etc/policy.toml"), append(text, "\n# another\n"...), 0o644)
				h.admin.Must("policy", "apply", h.Path("etc/policy.toml"), "--reason", "another")
				os.WriteFile(h.Path("etc/policy.toml"), []byte("format = 1\nnonsense = true\n"), 0o644)
			},
			metrics: map[string]reading{"policy_hash_info": is(2)},
			doctor:  map[string]string{"policy": "nonsense"}},
		{
			what:    "a device goes",
			breaks:  func(*testing.T) { h.agent.End(syscall.SIGTERM) },
			metrics: map[string]reading{"devices_connected": is(0), "agent_version": missing}},
		{
			what:    "its agent is put back to the release before",
			breaks:  h.oldAgent,
			metrics: map[string]reading{"devices_outdated": is(1)},
			warns:   "agents: devices that are refused",
			doctor:  map[string]string{"agents": "than this gateway: 1"}},
		{
			what: "it comes back",
			breaks: func(t *testing.T) {
				h.agent = testenv.Launch(h.t, h.Path("press-1.log"), h.Agent("press-1", "run"))
			},
			metrics: map[string]reading{"control_handshakes_total": grows, "control_reconnects_total": is(1),
				"devices_connected": is(1), "devices_outdated": is(0)}},
		{
			what:    "something tries the device's address without its key",
			breaks:  h.agentDoctor,
			metrics: map[string]reading{"control_refused_total": grows}},
		{
			what:    "a proxy opens TLS",
			breaks:  h.throughOpeningProxy,
			metrics: map[string]reading{"intercepted_total": is(1)}},
		{
			what: "a device's key is copied",
			breaks: func(t *testing.T) {
				if got := testenv.Finish(t,
					exec.Command("cp", "-a", h.Path("devices/press-1"), h.Path("devices/copied"))); got.Status != 0 {
					t.Fatalf("%+v", got)
				}
				testenv.Launch(h.t, h.Path("copied.log"), h.Agent("copied", "run"))
			},
			metrics: map[string]reading{"two_lines_one_key_total": grows}},
		{
			what:    "the signer is killed, and the company's provider is away",
			breaks:  func(*testing.T) { h.signer.End(syscall.SIGKILL) },
			metrics: map[string]reading{"signer_up": is(0), "idp_up": is(0)},
			ready:   map[string]string{"signer": "the signer does not answer"},
			warns:   "identity acme: ",
			doctor:  map[string]string{"identity acme": "", "identity guests": "the gateway last asked"},
			mend:    func(*testing.T) { h.startSigner() }},
		{
			what:   "the gateway is killed",
			breaks: func(*testing.T) { h.gateway.End(syscall.SIGKILL) },
			doctor: map[string]string{"gateway": "does not answer", "public address": "cannot be reached"}},
	}
}

// configureBackups gives doctor a configuration with [backup]. The gateway runs on with the old one.
func (h *sensorHouse) configureBackups(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err == nil {
		err = os.WriteFile(h.Path("etc/backup.age"), []byte(key.Recipient().String()+"\n"), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	h.Text += fmt.Sprintf("[backup]\nrecipients = [%q]\n", h.Path("etc/backup.age"))
	h.Write()
}

// makeBackups makes both archives, and checks that doctor finds them.
func (h *sensorHouse) makeBackups(t *testing.T) {
	for dir, owner := range map[string]int{"of-gateway": gatewayUID, "of-signer": signerUID} {
		os.Mkdir(h.Path(dir), 0o700)
		os.Chown(h.Path(dir), owner, owner)
		args := []string{"backup", "--config", h.Config, "--to", h.Path(dir)}
		if owner == signerUID {
			args = append(args, "--signer")
		}
		if got := testenv.Finish(t, h.Command(args...)); got.Status != 0 {
			t.Fatalf("%+v", got)
		}
	}
	all := read(t, testenv.Finish(t, h.Command("doctor", "--config", h.Config, "--json")))
	all.want(t, "backup of the gateway", "ok", "in "+h.Path("of-gateway")+" was made at ")
	all.want(t, "backup of the signer", "ok", "in "+h.Path("of-signer")+" was made at ")
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
