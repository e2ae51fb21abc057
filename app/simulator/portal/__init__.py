"""The partner's own API, which stands for https://addons.heroku.com: installs, manifests, usage."""
