// Package config reads the gateway's one TOML file. It is strict: a key it does not know is refused with its line,
// because a misspelt key is a setting that silently does not hold. Absent means safe. Secrets are paths to files, never
// values. docs/config.md is made from the comments and tags here.
//
// # Against whom
//
// Not an attacker: whoever can write this file runs the gateway. Against the slip. A guard that somebody believes to be on, and
// is not, is worse than none, so what contradicts itself, what would listen in the clear beyond loopback, and a file that
// cannot be read are errors at the start, in words, and never warnings.
//
// It imports none of our packages, so that everything can be started from it; what its values mean is decided where
// they are used.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Config is the whole file.
type Config struct {
	Site      Site       `toml:"site"`
	Listen    Listen     `toml:"listen"`
	TLS       TLS        `toml:"tls"`
	Identity  []Identity `toml:"identity"`
	Policy    Policy     `toml:"policy"`
	Sessions  Sessions   `toml:"sessions"`
	Recording Recording  `toml:"recording"`
	Signer    Signer     `toml:"signer"`
	Ledger    Ledger     `toml:"ledger"`
	Backup    Backup     `toml:"backup"`
	Mail      Mail       `toml:"mail"`
	Webhook   []Webhook  `toml:"webhook"`
	Log       Log        `toml:"log"`
}

// Site names the installation.
type Site struct {
	Name    string `toml:"name" doc:"What people see: on the sign-in page, in notices." default:"Sallyport"`
	URL     string `toml:"url" doc:"The one address of the web app, as people type it: https://host[:port], without a path. Other Host names are refused." required:"yes"`
	DataDir string `toml:"data_dir" doc:"Where database, recordings, log and keys are. Mode 0700." required:"yes"`
	Notice  string `toml:"notice" doc:"First of the four lines shown before every session." default:"Sessions are recorded."`
	Hosts   Words  `toml:"hosts" doc:"More host:port under which agents may reach this gateway. The site's own is always one."`

	AsksPerMinute int `toml:"asks_per_minute" doc:"Sessions, given or refused, and API tokens that one person may ask for in a minute, by all their sign-ins and tokens together; so many at once, then evenly. Each asking is an entry of the log for ever, so whoever asks for more is told to wait." default:"120"`

	DrainAtMost Duration `toml:"drain_at_most" doc:"At SIGTERM sessions have this long to finish by themselves, are told so, and are then ended with the reason. New ones are refused meanwhile." default:"30s"`
}

// Listen says where the gateway can be reached.
type Listen struct {
	HTTPS   string `toml:"https" doc:"Address of the web app, the API and the agents' tunnel." default:":443"`
	Metrics string `toml:"metrics" doc:"Own listener for /metrics. Empty: no metrics. A loopback address, or a network that you trust: it asks for no password. It answers /healthz and /readyz as well, whatever the Host."`

	PerPeer int `toml:"unauthenticated_per_peer" doc:"Connections that one peer may hold without an authenticated request or an authenticated device on them; further ones are closed at once. A peer is an IPv4 address or an IPv6 /64, and not one of tls.trusted_proxies. Such a connection is closed after 60 s. Each agent needs one while it connects, each browser up to 6. 1 to 1000000." default:"1024"`
	Total   int `toml:"unauthenticated" doc:"The same for all peers together, at least unauthenticated_per_peer; beyond it the oldest of these connections is closed. Each costs 12 KB of memory, and up to 80 KB while its headers arrive. 1 to 1000000." default:"8192"`

	MetricsToken string `toml:"metrics_token_file" doc:"File with a secret of 16 characters or more: /metrics then also answers at the address above to Authorization: Bearer SECRET."`
}

// TLS says who ends it.
type TLS struct {
	Mode    string `toml:"mode" doc:"files: cert and key below. self: a CA made in data_dir, for trials; agents take it with --ca. behind-proxy: no TLS here; the listener must be a loopback address, and the proxy must pass Host and set X-Forwarded-For." required:"yes"`
	Cert    string `toml:"cert" doc:"mode files: PEM chain. Read again when the file changes."`
	Key     string `toml:"key" doc:"mode files: PEM key, readable by the gateway's user only."`
	Proxies Words  `toml:"trusted_proxies" doc:"Networks (CIDR) of the proxies in front of the gateway. Mode behind-proxy: their X-Forwarded-For is believed. All modes: [listen] does not limit their connections. Default: none in the other modes." default:"127.0.0.0/8, ::1/128"`
}

// Identity is one OpenID provider.
type Identity struct {
	Name         string            `toml:"name" doc:"Short name, in addresses: /login/NAME." required:"yes"`
	ShownAs      string            `toml:"shown_as" doc:"On the sign-in button. Empty: name."`
	Builtin      bool              `toml:"builtin" doc:"The provider inside this gateway, for trials and small teams. Users: sallyport users add."`
	Issuer       string            `toml:"issuer" doc:"Issuer URL, exactly as in the provider's discovery document. Not with builtin."`
	ClientID     string            `toml:"client_id" doc:"Not with builtin."`
	SecretFile   string            `toml:"client_secret_file" doc:"File with the client secret. Not with builtin."`
	CAFile       string            `toml:"ca_file" doc:"PEM file of the authorities that sign the provider's certificate, such as the company's own. Only these are then trusted for it. Empty: the system's. Not with builtin."`
	Scopes       Words             `toml:"scopes" doc:"Scopes to request, sent exactly as written; openid is required. Empty: openid, profile, email, offline_access and groups, each only if the provider's discovery document lists it. If the document has no list, the first four are sent. Not with builtin."`
	Prompt       string            `toml:"prompt" doc:"When to send prompt=consent; many providers give no refresh token without it. auto: after a sign-in brought none. always: at every sign-in. never: at no sign-in. Not with builtin." default:"auto"`
	Logout       string            `toml:"logout" doc:"How a sign-out here ends the provider's session in the browser. hint: an address with client_id and logout_hint (the sid, or the user name); the provider may ask the person. post_id_token: a page whose button posts the id token to the provider, for providers that demand it. An id token is never part of an address. Not with builtin, which is told directly." default:"hint"`
	NoRefresh    Duration          `toml:"no_refresh_at_most" doc:"How long a sign-in lasts if the provider gave no refresh token, so that it cannot be asked again. The signer accepts no older id token: if a provider is down for longer, its people cannot open sessions. An id token that is itself valid for longer counts no longer than this, and the log says so once; one that is valid for more than 24h is refused. 1s to 12h." default:"1h"`
	GroupsClaim  string            `toml:"groups_claim" doc:"Claim with the list of groups, in the id token or at the userinfo endpoint." default:"groups"`
	SecondFactor SecondFactor      `toml:"second_factor" doc:"Which sign-ins count as a second factor. Absent: none do. The provider is then asked for auth_time, from which the factor counts; a sign-in without it is refused."`
	Groups       map[string]string `toml:"groups" doc:"Left: a group as the provider sends it. Right: as policy names it. Groups that are not here do not exist. An entry that is added later has no effect until an administrator confirms it (docs/policy.md, A second administrator)."`
}

// SecondFactor says which claims prove one.
type SecondFactor struct {
	AMR Words `toml:"amr" doc:"Any of these values in amr."`
	ACR Words `toml:"acr" doc:"Any of these values of acr."`
}

// Policy says where the first version comes from.
type Policy struct {
	Files Words `toml:"files" doc:"Files or patterns. They become version 1 of an empty store; later the stored version counts, and sallyport policy apply changes it." required:"yes"`
}

// Sessions limits how many run at once.
type Sessions struct {
	PerPerson int `toml:"per_person" doc:"Sessions that one person or machine identity may have live at once, by all their sign-ins and tokens together. Sessions being opened count. 1 to 10000." default:"8"`
	PerDevice int `toml:"per_device" doc:"Sessions that may be live on one device at once, of all people together. Sessions being opened count. The policy's own limits apply as well, and the stricter one decides. 1 to 10000." default:"4"`
}

// Recording says how the record is kept.
type Recording struct {
	Durability     string   `toml:"durability" doc:"strict: no byte goes to a machine or to a screen before the disk confirms its record. No other word is known here yet." default:"strict"`
	ReadersFiles   Words    `toml:"readers_files" doc:"age recipients (one public key a line) who may read finished recordings. Without one all recordings would be lost." required:"yes"`
	UnsealersFiles Words    `toml:"unsealers_files" doc:"age recipients who may open what was typed at hidden prompts, beside a reader's key, or alone if they stand among the readers too. Never the archive's." required:"yes"`
	ArchiveKey     string   `toml:"archive_identity_file" doc:"age identity of the archive in this process: replay and search need it. It must be among the readers. Empty: made in data_dir and added to the readers."`
	LowWater       Size     `toml:"low_water" doc:"Free space below which no new session starts." default:"2GiB"`
	Ballast        Size     `toml:"ballast" doc:"Space kept aside so that a full disk can still take the end of what runs." default:"64MiB"`
	Journal        Size     `toml:"journal" doc:"Size of the journal, written with zeros once." default:"256MiB"`
	KeepAtLeast    Duration `toml:"keep_at_least" doc:"Promised in every open leaf; nothing is deleted before." default:"400d"`
	PerSession     Size     `toml:"per_session" doc:"Output after which a session ends." default:"2GiB"`
}

// Signer says where the signer runs.
type Signer struct {
	Socket      string `toml:"socket" doc:"Unix socket of sallyport signer, its own process and user, which reads this file too. Empty: the signer is in the gateway's process, and sallyport doctor says what that weakens."`
	Dir         string `toml:"dir" doc:"With a socket: where the signer has its keys, the log, and the people of the built-in provider. Mode 0700, of the signer's user, outside data_dir. Without a socket all this is in data_dir." default:"/var/lib/sallyport-signer"`
	GatewayUser string `toml:"gateway_user" doc:"With a socket: the user, by name or number, that the gateway runs as. The kernel says who connects; only this user, and the signer's own, is answered." default:"sallyport"`
}

// Ledger says what else happens to the log.
type Ledger struct {
	Origin     string `toml:"origin" doc:"Name of the log, for ever. Empty: host of site.url + /log."`
	SecondCopy string `toml:"second_copy" doc:"Directory on another disk that gets the whole log as well: tiles for outsiders, and below private/ the bodies that they commit to. After the loss of the log's own disk the log continues from here; it is never restored from a backup."`
}

// Backup configures who can open backups.
type Backup struct {
	Recipients Words `toml:"recipients" doc:"Files with age recipients (one public key a line) who can open the keys, the database and the provider's people in a backup. A person with one of their private keys can impersonate this gateway, so none of them may be a reader or an unsealer of recordings. Empty: sallyport backup refuses to run. See backup.md."`
}

// Log says what the programs write to stderr about themselves. It is not the evidence.
type Log struct {
	Format string `toml:"format" doc:"text or json." default:"text"`
	Level  string `toml:"level" doc:"debug, info, warn or error." default:"info"`
}

// Words is a list of strings.
type Words []string

// Load reads and checks a file.
func Load(path string) (*Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return Parse(path, raw)
}

// Parse reads and checks text; name is for messages.
func Parse(name string, raw []byte) (*Config, error) {
	c := &Config{Site: Site{DrainAtMost: Duration(30 * time.Second)}} // before reading, since 0s is an answer too
	d := toml.NewDecoder(bytes.NewReader(raw)).DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, explain(name, err)
	}
	c.defaults()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// explain gives file, line and what to write instead.
func explain(name string, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		e := unknown.Errors[0]
		row, _ := e.Position()
		key := strings.Join(e.Key(), ".")
		text := fmt.Sprintf("%s:%d: the key %s is not known", name, row, key)
		if instead, ok := laterKey(key); ok {
			return errors.New(text + " yet: leave it out (" + instead + ")")
		}
		if near := nearestKey(key); near != "" {
			text += "; did you mean " + near + "?"
		}
		return errors.New(text)
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		row, col := bad.Position()
		return fmt.Errorf("%s:%d:%d: %s", name, row, col, strings.TrimPrefix(bad.Error(), "toml: "))
	}
	return fmt.Errorf("%s: %w", name, err)
}
