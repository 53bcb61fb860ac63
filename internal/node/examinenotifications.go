package node

import (
	"fmt"
	"strings"
)

// notifications checks [mail] and [[webhook]], and adds the dead letters of the running gateway. It sends nothing: `sallyport
// notifications test` does.
func (e *examination) notifications() (string, error) {
	m, err := mailer(e.c)
	if err != nil {
		return "", err
	}
	hooks, err := webhooks(e.c)
	if err != nil {
		return "", err
	}
	if why := e.site.warned("notifications"); why != "" {
		return "", odd(why, "`sallyport notifications list --state dead` says why, and `sallyport notifications retry ID` tries again.")
	}
	var ways []string
	if m != nil {
		ways = append(ways, "mail through "+e.c.Mail.Server)
	}
	for _, w := range hooks {
		ways = append(ways, "webhook "+w.Name)
	}
	if len(ways) == 0 {
		return "neither [mail] nor [[webhook]]: people see requests only on the page", nil
	}
	return fmt.Sprintf("%s; people without an email address get no mail", strings.Join(ways, ", ")), nil
}
