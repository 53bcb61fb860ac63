package config

import "strings"

const noACME = `mode = "files" takes the certificates of any ACME client, and reads them again when they change`

// later are keys of parts that do not exist yet, with what stands in for them. They are refused like any other that is not
// known, because a setting that silently does nothing is believed; only the words are better.
var later = map[string]string{
	"site.language":          "everything is in English",
	"listen.ssh":             "sallyport shell, or the browser, opens sessions",
	"tls.acme_email":         noACME,
	"recording.delete_after": "nothing is deleted",
	"ledger.publish":         "second_copy keeps the log elsewhere, and `sallyport log checkpoint` prints what an outsider may keep",
	"events":                 "`sallyport audit export` gives the events",
}

// laterKey gives what to do instead of a key of a part that does not exist yet.
func laterKey(key string) (instead string, ok bool) {
	for name, text := range later {
		if key == name || strings.HasPrefix(key, name+".") {
			return text, true
		}
	}
	return "", false
}
