import { useEffect } from 'preact/hooks';

/** Gives the document its title, which says where one is. */
export function useTitle(text: string) {
  useEffect(() => {
    document.title = text ? `${text} · Sallyport` : 'Sallyport';
  }, [text]);
}
