# held.py FOLDER: a site whose pages are FIFOs of that folder. It sends what is written there, so that who opens one for
# writing waits until that page is asked for, and decides when it comes. "/" is the FIFO "index".
import os
import socketserver
import sys


class Page(socketserver.StreamRequestHandler):
    def handle(self):
        path = self.rfile.readline().split()[1].decode()
        while self.rfile.readline().strip():
            pass
        with open(os.path.join(sys.argv[1], path[1:] or "index"), "rb", 0) as page:
            for piece in iter(lambda: page.read(65536), b""):
                self.wfile.write(piece)


class Site(socketserver.ThreadingTCPServer):
    daemon_threads = True


with Site(("127.0.0.1", 0), Page) as site:
    print("listening on http://127.0.0.1:%d" % site.server_address[1], flush=True)
    site.serve_forever()
