package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/config.md anew")

const good = `
[site]
url = "https://access.example"
data_dir = "/var/lib/sallyport"
[tls]
mode = "self"
[[identity]]
name = "guests"
builtin = true
[identity.groups]
technicians = "technicians"
[policy]
files = ["/etc/sallyport/policy/*.toml"]
[recording]
readers_files = ["/etc/sallyport/readers.age"]
unsealers_files = ["/etc/sallyport/unseal.age"]
low_water = "20GiB"
keep_at_least = "400d"
`

const hook = `[[webhook]]
name = "ops"
url = "https://hooks.example/x"
secret_file = "/etc/sallyport/secrets/hook"
`

func TestNotificationsGetTheirDefaults(t *testing.T) {
	c, err := Parse("gateway.toml", []byte(good+"[mail]\nserver = \"smtp.example:587\"\nfrom = \"a@x.example\"\n"+hook))
	if err != nil {
		t.Fatal(err)
	}
	if c.Mail.Security != "starttls" || len(c.Webhook) != 1 || c.Webhook[0].Format != "json" {
		t.Errorf("got %+v and %+v, want starttls and json", c.Mail, c.Webhook)
	}
}

func TestAGoodFileGetsItsDefaults(t *testing.T) {
	c, err := Parse("gateway.toml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen.HTTPS != ":443" || c.Ledger.Origin != "access.example/log" || c.Recording.Journal != 256<<20 || c.Recording.LowWater != 20<<30 || c.Site.AsksPerMinute != 120 {
		t.Errorf("got %+v", c)
	}
	if c.Listen.PerPeer != 1024 || c.Listen.Total != 8192 || len(c.TLS.Proxies) != 0 {
		t.Errorf("connections: got %+v and proxies %q", c.Listen, c.TLS.Proxies)
	}
	if c.Sessions != (Sessions{PerPerson: 8, PerDevice: 4}) {
		t.Errorf("sessions: got %+v, want 8 for a person and 4 on a device", c.Sessions)
	}
	if got := c.Recording.KeepAtLeast.String(); got != "400d" {
		t.Errorf("keep_at_least: got %s, want 400d", got)
	}
}

// TestOnlyAProxyInFrontIsTrustedByDefault: trusted addresses are not limited, so they must not be those of every process
// on the gateway's host.
func TestOnlyAProxyInFrontIsTrustedByDefault(t *testing.T) {
	behind := strings.Replace(good, `mode = "self"`, `mode = "behind-proxy"`, 1) + "[listen]\nhttps = \"127.0.0.1:8080\"\n"
	named := func(text string) string {
		return strings.Replace(text, "[[identity]]", "trusted_proxies = [\"10.0.0.7/32\"]\n[[identity]]", 1)
	}
	for name, c := range map[string]struct{ text, want string }{
		"TLS ends here":                           {good, ""},
		"TLS ends here, behind a load balancer":   {named(good), "10.0.0.7/32"},
		"behind a proxy":                          {behind, "127.0.0.0/8 ::1/128"},
		"behind a proxy at an address of its own": {named(behind), "10.0.0.7/32"},
	} {
		parsed, err := Parse("gateway.toml", []byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(parsed.TLS.Proxies, " "); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestWhatIsWrongIsSaidWithWhatToWrite(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"a misspelt key names its line and the nearest": {"low_water", "low_watr", "gateway.toml:17: the key recording.low_watr is not known; did you mean recording.low_water?"},
		"a table nobody knows":                          {"[policy]", "[polcy]", "the key polcy"},
		"a key of a part to come":                       {"[policy]", "[[events]]\nname = \"x\"\n[policy]", "the key events is not known yet: leave it out"},
		"a door to come":                                {"[policy]", "[listen]\nssh = \":2222\"\n[policy]", "the key listen.ssh is not known yet: leave it out"},
		"a mode to come":                                {`mode = "self"`, `mode = "acme"`, "takes the certificates of any ACME client"},
		"an address with a path":                        {"https://access.example", "https://access.example/x", "write scheme and host only"},
		"plain http beyond loopback":                    {"https://access.example", "http://access.example", "only a loopback name may go without https"},
		"a relative data directory":                     {"/var/lib/sallyport", "data", "write an absolute path"},
		"no asking at all":                              {`data_dir`, "asks_per_minute = -1\ndata_dir", "write 1 to 60000"},
		"no sessions of a person":                       {`[policy]`, "[sessions]\nper_person = -1\n[policy]", "per_person = -1: write 1 to 10000"},
		"more sessions than ports":                      {`[policy]`, "[sessions]\nper_device = 10001\n[policy]", "per_device = 10001: write 1 to 10000"},
		"no connections of one address":                 {`[policy]`, "[listen]\nunauthenticated_per_peer = -1\n[policy]", "unauthenticated_per_peer = -1: write 1 to 1000000"},
		"fewer connections in all than of one address":  {`[policy]`, "[listen]\nunauthenticated = 1000\n[policy]", "write at least unauthenticated_per_peer, which is 1024"},
		"an unknown TLS mode":                           {`mode = "self"`, `mode = "none"`, "the modes are"},
		"no TLS mode":                                   {`mode = "self"`, ``, "mode is missing"},
		"a proxy in front of an open listener":          {`mode = "self"`, `mode = "behind-proxy"`, "listen on loopback only"},
		"no readers":                                    {`readers_files = ["/etc/sallyport/readers.age"]`, ``, "every recording would be lost"},
		"no unsealers":                                  {`unsealers_files = ["/etc/sallyport/unseal.age"]`, ``, "unsealers_files is missing"},
		"a size without a unit":                         {`"20GiB"`, `"20"`, "write it as 500MiB or 20GiB"},
		"a time without a unit":                         {`"400d"`, `"400"`, "write it as 400d, 12h or 30m"},
		"a provider without issuer":                     {"builtin = true", ``, "issuer and client_id are missing"},
		"text where a list belongs":                     {`files = ["/etc/sallyport/policy/*.toml"]`, `files = 3`, "gateway.toml:"},
		"no policy":                                     {`files = ["/etc/sallyport/policy/*.toml"]`, ``, "without a policy nobody may do anything"},
		"mail without a sender":                         {`[policy]`, "[mail]\nserver = \"smtp.example:587\"\n[policy]", "[mail] from is missing"},
		"mail without a server":                         {`[policy]`, "[mail]\nfrom = \"a@x.example\"\n[policy]", "[mail] server is missing"},
		"a webhook twice":                               {`[policy]`, hook + hook + "[policy]", "\"ops\" occurs twice"},
		"a webhook without a name":                      {`[policy]`, strings.Replace(hook, "ops", "Ops!", 1) + "[policy]", "write 1 to 31 characters"},
		"a webhook of an unknown format":                {`[policy]`, hook + "format = \"irc\"\n[policy]", "format = \"irc\": write"},
		"a webhook that is not signed":                  {`[policy]`, strings.Replace(hook, "secret_file", "#", 1) + "[policy]", "needs secret_file"},
		"a webhook for an unknown kind":                 {`[policy]`, hook + "send = [\"request.read\"]\n[policy]", "send: \"request.read\" is not a kind"},
		"a webhook without an address":                  {`[policy]`, strings.Replace(hook, "url", "#", 1) + "[policy]", "write url or url_file"},
		"a durability that is not kept":                 {`low_water = "20GiB"`, `durability = "bounded"`, `write "strict"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("gateway.toml", []byte(strings.Replace(good, c.old, c.new, 1)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
		})
	}
}

func TestThePageSaysWhatTheProgramKnows(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "config.md")
	if *update {
		if err := os.WriteFile(path, []byte(Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != Markdown() {
		t.Errorf("docs/config.md is behind the program (%v); run go test ./internal/config -update", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if c, err := Parse("f", raw); err == nil && c.Site.URL == "" {
			t.Error("a configuration without an address was taken")
		}
	})
}
