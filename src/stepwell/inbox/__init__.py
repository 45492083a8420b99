"""Deliveries of webhooks, from the request to the answer: judged, told what they start, stored with others."""
