# The front: nginx with HTTP/2 before the gateway and before dex, which runs on the same host.
front_up() {
  on front "mkdir -p /etc/sallyport-front; cp $WORK/front.{key,pem} $WORK/login.{key,pem} /etc/sallyport-front/
    cp $WORK/acme-ca.pem /usr/local/share/ca-certificates/acme-ca.crt; update-ca-certificates >/dev/null 2>&1
    nginx -c /srv/sallyport/deploy/operations/nginx.conf"
  dex_up
}

dex_up() {
  on front "setsid $WORK/dex -listen 127.0.0.1:5556 -issuer https://login.acme.example/realms/acme -client sallyport -secret-file $WORK/oidc-secret \
    -redirect https://access.acme.example/callback/acme -person tess=sp-tech </dev/null >>/var/log/dex 2>&1 & echo \$! >/run/dex.pid"
}

# The provider is down as nginx shows it: 502. dex itself runs on, because it has keys and refresh tokens in memory only.
provider_down() { on front "touch /run/login-is-down"; }
provider_up() { on front "rm /run/login-is-down"; }
