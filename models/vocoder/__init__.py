"""ConVITS: the speech autoencoder, its prior and its streaming decoder."""
