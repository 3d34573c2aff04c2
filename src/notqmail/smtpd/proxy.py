"""placeholder"""


class MalformedProxyError(Exception):
    pass


class ProxyHeader:
    def feed(self, octets):
        raise MalformedProxyError("no")
