package config

import (
	"strings"
	"testing"
	"time"
)

const provider = `name = "acme"
issuer = "https://login.acme.example"
client_id = "sallyport"
`

func TestProviderRequestSettingsAreChecked(t *testing.T) {
	c, err := Parse("gateway.toml", []byte(strings.Replace(good, "name = \"guests\"\nbuiltin = true\n", provider, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if i := c.Identity[0]; i.Prompt != "auto" || i.NoRefresh != Duration(time.Hour) || len(i.Scopes) != 0 ||
		i.CAFile != "" {
		t.Errorf("defaults: got %+v", i)
	}
	for name, c := range map[string]struct{ add, want string }{
		"scopes without openid":        {`scopes = ["groups"]`, `scopes must contain "openid"`},
		"scopes in one text":           {`scopes = ["openid", "email groups"]`, "is not one scope"},
		"a prompt that does not exist": {`prompt = "login"`, `write "auto", "always" or "never"`},
		"a logout that does not exist": {`logout = "get"`, `write "hint" or "post_id_token"`},
		"a lifetime of a day":          {`no_refresh_at_most = "24h"`, "between 1s and 12h"},
		"builtin with an authority":    {"builtin", `neither ca_file nor scopes nor prompt nor logout`},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, "name = \"guests\"\nbuiltin = true\n", provider+c.add+"\n", 1)
			if c.add == "builtin" {
				text = strings.Replace(good, "builtin = true\n", "builtin = true\nca_file = \"/etc/ca.pem\"\n", 1)
			}
			if _, err := Parse("gateway.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
		})
	}
}
